// In the audio thread: plays samples by their place on the call's timeline. Live, it keeps a little ahead of what it
// has to play (a jitter buffer) and drops what comes too late; of a file it waits for what is missing.

const RING = 1 << 19; // samples: a minute at 8 kHz, 11 s at 48 kHz

class Speaker extends AudioWorkletProcessor {
  constructor(options) {
    super();
    const {wait_samples, is_live} = options.processorOptions;
    this.wait = wait_samples;
    this.isLive = is_live;
    this.ring = [new Float32Array(RING), new Float32Array(RING)];
    this.reset(0);
    this.played = 0; // samples that were more than silence
    this.underruns = 0;
    this.blocks = 0;
    this.port.onmessage = ({data}) => this.hear(data);
  }

  reset(position) {
    this.position = position;
    this.end = position;
    this.isPlaying = false;
    this.isLast = false;
    this.ring.forEach((lane) => lane.fill(0));
  }

  hear(said) {
    if (said.seek !== undefined) this.reset(said.seek);
    if (said.last) this.isLast = true;
    if (!said.samples) return;
    const {lane, position, samples} = said, length = samples.length;
    if (this.isLive && (position > this.end + RING / 2 || (!this.isPlaying && this.end === 0))) this.reset(position);
    for (let at = 0; at < length; at++) {
      const place = position + at;
      if (place >= this.position && place < this.position + RING) this.ring[lane][place % RING] = samples[at];
    }
    if (position + length > this.end) this.end = Math.min(position + length, this.position + RING);
  }

  process(_, [output]) {
    const left = output[0], right = output[1] || output[0], length = left.length;
    const ahead = this.end - this.position;
    if (!this.isPlaying && (ahead >= this.wait || (this.isLast && ahead > 0))) this.isPlaying = true;
    if (this.isPlaying && this.isLive && ahead > 4 * this.wait) this.skip(ahead - this.wait);
    if (this.isPlaying && ahead >= length) {
      for (let at = 0; at < length; at++) {
        const place = (this.position + at) % RING;
        left[at] = this.ring[0][place];
        right[at] = this.ring[1][place];
        if (left[at] || right[at]) this.played++;
        this.ring[0][place] = this.ring[1][place] = 0;
      }
      this.position += length;
    } else if (this.isPlaying) {
      this.isPlaying = false;
      if (!this.isLast) this.underruns++;
      else this.port.postMessage({over: true});
    }
    if (this.blocks++ % 16 === 0) {
      this.port.postMessage({position: this.position, end: this.end, played: this.played, underruns: this.underruns});
    }
    return true;
  }

  skip(samples) {
    for (let at = 0; at < samples; at++) {
      const place = (this.position + at) % RING;
      this.ring[0][place] = this.ring[1][place] = 0;
    }
    this.position += samples;
  }
}

registerProcessor("speaker", Speaker);
