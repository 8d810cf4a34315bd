// Sound: samples on a timeline, through the worklet of speaker.js, to the loudspeaker; as stereo or as one.

/** Why this browser cannot play here, "" if it can. */
export function whyNoSound() {
  if (!window.AudioContext) return "This browser has no Web Audio.";
  if (!window.isSecureContext) return "Browsers play audio of a page only over HTTPS, or from localhost: put TLS in front of this server.";
  return "";
}

export class Sound extends EventTarget {
  constructor(rateHz, {isLive, waitMs}) {
    super();
    this.rateHz = rateHz;
    this.isLive = isLive;
    this.waitMs = waitMs;
    this.position = 0;
    this.played = 0;
    this.underruns = 0;
  }

  async open() {
    this.context = new AudioContext({sampleRate: this.rateHz, latencyHint: this.isLive ? "interactive" : "playback"});
    await this.context.audioWorklet.addModule("/page/js/speaker.js");
    const processorOptions = {wait_samples: Math.round((this.rateHz * this.waitMs) / 1000), is_live: this.isLive};
    this.node = new AudioWorkletNode(this.context, "speaker", {numberOfInputs: 0, outputChannelCount: [2], processorOptions});
    this.node.port.onmessage = ({data}) => this.hear(data);
    this.splitter = new ChannelSplitterNode(this.context, {numberOfOutputs: 2});
    this.gains = [0, 1].map((lane) => {
      const gain = new GainNode(this.context), pan = new StereoPannerNode(this.context);
      this.splitter.connect(gain, lane).connect(pan);
      return {gain, pan};
    });
    this.volume = new GainNode(this.context);
    this.node.connect(this.splitter);
    for (const {pan} of this.gains) pan.connect(this.volume);
    this.volume.connect(this.context.destination);
    this.setStereo(true);
    await this.context.resume();
  }

  hear(data) {
    Object.assign(this, data);
    this.dispatchEvent(new Event(data.over ? "over" : "place"));
  }

  give(lane, position, samples) {
    this.node.port.postMessage({lane, position, samples}, [samples.buffer]);
  }

  seek(position) {
    this.position = position;
    this.node.port.postMessage({seek: position});
  }

  last() {
    this.node.port.postMessage({last: true});
  }

  /** Inbound left and outbound right, or both in the middle. */
  setStereo(isStereo) {
    this.gains.forEach(({pan}, lane) => (pan.pan.value = isStereo ? (lane ? 0.8 : -0.8) : 0));
  }

  hearOnly(lane) {
    this.gains.forEach(({gain}, one) => (gain.gain.value = lane === null || lane === one ? 1 : 0));
  }

  setVolume(value) {
    this.volume.gain.value = value;
  }

  pause() {
    return this.context.suspend();
  }

  resume() {
    return this.context.resume();
  }

  close() {
    this.node?.disconnect();
    return this.context?.close();
  }
}
