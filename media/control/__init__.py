"""What a call can be told to do from outside of the process: as data (`table`), and done (`controls`)."""
