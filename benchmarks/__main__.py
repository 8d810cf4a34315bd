"""``python -m benchmarks`` is ``strep bench``."""

from benchmarks.command import bench

if __name__ == "__main__":
    bench(prog_name="python -m benchmarks")
