// The server at a glance: totals with their last two minutes, and what is the matter.

import {colour, el, fill, say, surface} from "./dom.js";
import {count, share, time} from "./format.js";

/** The mean of five in a row: the server counts in its own seconds, not in ours. */
function smooth(values) {
  return values.map((_, at) => {
    const near = values.slice(Math.max(0, at - 4), at + 1).filter((value) => value !== null);
    return near.length ? near.reduce((a, b) => a + b, 0) / near.length : null;
  });
}

function figure(label, name) {
  const value = el("b"), unit = el("small"), canvas = el("canvas", {"aria-hidden": "true"});
  return {element: el("div", {class: `figure is-${name}`}, el("span", {class: "label"}, label), el("span", {class: "value"}, value, unit), canvas), value, unit, canvas};
}

export class Summary {
  constructor(element, alarms, calls) {
    this.calls = calls;
    this.alarms = alarms;
    this.figures = {
      live: figure("Live calls", "live"), packets: figure("Packets a second", "packets"), begun: figure("Begun in the last minute", "begun"),
      loss: figure("Lost, of calls in sight", "loss"), alarm: figure("Health", "health"),
    };
    fill(element, Object.values(this.figures).map((one) => one.element));
    this.figures.alarm.canvas.remove();
    this.figures.loss.canvas.remove();
    this.said = "";
    calls.addEventListener("totals", () => this.tell());
  }

  tell() {
    const {totals, history} = this.calls, before = history[history.length - 2], last = history[history.length - 1];
    const f = this.figures;
    say(f.live.value, count(totals.calls));
    if (before) {
      last.rate = Math.max(0, ((last.packets - before.packets) * 1000) / (last.at - before.at));
      const recent = history.slice(-4).map((one) => one.rate).filter((rate) => rate !== undefined);
      say(f.packets.value, count(recent.reduce((a, b) => a + b, 0) / recent.length));
    } else say(f.packets.value, "–");
    const minute = history.find((one) => last.at - one.at <= 60_000), window = (last.at - minute.at) / 1000;
    const young = [...this.calls.byNumber.values()].filter((call) => Date.now() - call.began <= 60_000);
    say(f.begun.value, count(Math.max(last.started - minute.started, young.length)));
    say(f.begun.unit, window < 55 && !young.length ? ` in ${Math.round(window)} s` : "");
    const inSight = this.calls.sight.filter((call) => call.received && !call.ended), lost = inSight.reduce((a, b) => a + b.lost, 0);
    say(f.loss.value, inSight.length ? share(lost / Math.max(1, lost + inSight.reduce((a, b) => a + b.received, 0))) : "–");
    const raised = totals.alarms || [];
    say(f.alarm.value, raised.length ? `${raised.length} alarm${raised.length > 1 ? "s" : ""}` : "Well");
    f.alarm.element.dataset.grade = raised.length ? raised[0].severity : "ok";
    this.tellAlarms(raised);
    this.spark(f.live.canvas, history.map((one) => one.calls), "in");
    this.spark(f.packets.canvas, smooth(history.map((one) => one.rate ?? null)), "out");
  }

  tellAlarms(raised) {
    const said = JSON.stringify(raised);
    if (said === this.said) return;
    this.said = said;
    fill(this.alarms, raised.map((alarm) => el("details", {class: `alarm ${alarm.severity === "critical" ? "critical" : "warning"}`},
      el("summary", {}, el("b", {}, alarm.severity), el("span", {}, alarm.meaning), el("time", {}, `since ${time(alarm.since)}`)),
      el("p", {}, el("code", {}, alarm.name), ` ${alarm.detail}`), el("p", {}, `What to do: ${alarm.remedy}`))));
  }

  spark(canvas, values, name) {
    const {context, width, height} = surface(canvas), known = values.filter((value) => value !== null);
    if (known.length < 2) return;
    const most = Math.max(...known, 1) * 1.15, span = Math.max(values.length - 1, 30);
    const points = values.map((value, at) => [width - ((values.length - 1 - at) * width) / span, value]).filter(([, value]) => value !== null);
    const line = new Path2D();
    for (const [x, value] of points) line.lineTo(x, height - 1 - (value / most) * (height - 3));
    const area = new Path2D(line);
    area.lineTo(width, height);
    area.lineTo(points[0][0], height);
    context.fillStyle = colour(`${name}-soft`);
    context.globalAlpha = 0.35;
    context.fill(area);
    context.globalAlpha = 1;
    context.strokeStyle = colour(name);
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.stroke(line);
  }
}
