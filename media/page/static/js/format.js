// Numbers and times, as people read them.

const QUIET_S = 2;
const whole = new Intl.NumberFormat("en-GB");
const clock = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const day = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short", year: "numeric"});

export const count = (number) => whole.format(Math.round(number));

/** 1.2 s as 0:01, an hour as 1:00:00. */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export const time = (iso) => clock.format(new Date(iso));
export const date = (iso) => day.format(new Date(iso));

/** A share of 0 to 1 as a percentage: 0 %, 0.3 %, 12 %. */
export function share(value) {
  if (!Number.isFinite(value) || value <= 0) return "0 %";
  const percent = value * 100;
  if (percent < 0.05) return "<0.1 %";
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** Half decibels below full scale, as in levels, as an amplitude of 0 to 1; 255 is silence. */
export const amplitude = (halfDecibels) => (halfDecibels >= 255 ? 0 : 10 ** (-halfDecibels / 40));

/** Who talks with whom, as far as the carrier said. */
export function parties(call) {
  const {from, to, name} = call.identity || {};
  return {from: from || "", to: to || "", known: Boolean(from || to), name: name || ""};
}

/** The beginning and the end of a long id. */
export const short = (id) => (id.length > 22 ? `${id.slice(0, 8)}…${id.slice(-6)}` : id);

export function megabytes(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** What state a call is in, in words: live, quiet for a while, ended. */
export function stateOf(call) {
  if (call.ended) return "ended";
  const quiet = Math.floor((call.toldAt - call.heardAt) / 1000);
  return quiet >= QUIET_S ? `quiet ${quiet} s` : "live";
}

/** How good an opinion is (MOS, 1 to 4.5), as a name of a colour. */
export function gradeOf(mos) {
  return mos === null ? "" : mos < 3.1 ? "bad" : mos < 3.8 ? "poor" : "good";
}
