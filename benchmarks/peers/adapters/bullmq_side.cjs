// Worker and producer for the BullMQ adapter; same operations as client.py.
const fs = require("fs");
const need = require("module").createRequire(process.env.BENCH_CACHE_DIR + "/package.json");
const { Job, Queue, QueueEvents, Worker, FlowProducer } = need("bullmq");
const o = JSON.parse(process.env.BENCH_OPTS || "{}");
const connection = { host: "127.0.0.1", port: +process.env.BENCH_REDIS_PORT, maxRetriesPerRequest: null };
const fd = fs.openSync(process.env.BENCH_JOURNAL, "a");
// wall clock with sub-millisecond steps: monotonic clock plus an origin aligned to a Date.now() edge
function aligned() { let a = Date.now(); while (Date.now() === a); return BigInt(Date.now()) * 1000000n - process.hrtime.bigint(); }
const base = aligned();
const now = () => base + process.hrtime.bigint();
function record(id, kind) {
  const b = Buffer.alloc(24);
  b.writeBigInt64LE(BigInt(id), 0); b.writeBigInt64LE(now(), 8); b.writeInt32LE(process.pid, 16); b.writeInt32LE(kind, 20);
  fs.writeSync(fd, b);
}
const nap = (s) => new Promise((r) => setTimeout(r, s * 1000));
const q = (v, p) => { v = [...v].sort((a, b) => a - b); return v.length ? v[Math.min(v.length - 1, Math.floor(p * v.length))] : null; };
const opts = o.results ? {} : { removeOnComplete: true };

async function worker() {
  const extra = o.stalled ? { stalledInterval: o.stalled, lockDuration: o.stalled } : {};
  const w = new Worker("bench", async (job) => {
    const d = job.data;
    if (job.name === "callback") { record(-1, 3); return 0; }
    record(d.a, 1);
    if (job.name === "sleep") { await nap(d.b); record(d.a, 2); }
    return d.a;
  }, { connection, concurrency: o.c || 50, ...extra });
  w.on("error", (e) => console.error(String(e)));                                  // as its manual advises
  process.on("SIGTERM", async () => { await w.close(); process.exit(0); });
}

async function client(op, a) {
  const queue = new Queue("bench", { connection });
  await queue.waitUntilReady();
  const add = (t, x, y) => queue.add(t, { a: x, b: y }, opts);
  const ns = () => Number(process.hrtime.bigint());
  let out = {};
  if (op === "enqueue") {
    const spans = [], first = a.first || 0;
    await add(a.task, first, a.arg);
    const begin = ns();
    for (let i = first + 1; i < first + a.n; i++) { const t = ns(); await add(a.task, i, a.arg); spans.push(ns() - t); }
    out = { rate: a.n > 1 ? (a.n - 1) / ((ns() - begin) / 1e9) : null, p50_us: (q(spans, 0.5) || 0) / 1e3, p99_us: (q(spans, 0.99) || 0) / 1e3 };
  } else if (op === "bulk") {
    const first = a.first || 0;
    let jobs = [await add(a.task, first, a.arg)];
    const begin = ns();
    for (let i = 1; i < a.n; i += 1000) {
      const part = [];
      for (let j = i; j < Math.min(i + 1000, a.n); j++) part.push({ name: a.task, data: { a: first + j, b: a.arg }, opts });
      jobs = await queue.addBulk(part);
    }
    out = { rate: (a.n - 1) / ((ns() - begin) / 1e9), has_bulk: true, bulk_step: 1000 };
    fs.writeFileSync(process.env.BENCH_DIR + "/keys.json", JSON.stringify(jobs.slice(-64).map((j) => j.id)));
  } else if (op === "await_results") {      // as in client.py
    const keys = JSON.parse(fs.readFileSync(process.env.BENCH_DIR + "/keys.json"));
    fs.writeFileSync(process.env.BENCH_DIR + "/ready", "");
    const end = Date.now() + a.timeout * 1000, late = () => { if (Date.now() > end) throw new Error("results are late"); };
    while (fs.fstatSync(fd).size < a.n * 24) { late(); await nap(0.002); }
    for (const key of keys) while (!(await (await Job.fromId(queue, key)).isCompleted())) { late(); await nap(0.001); }
    out = { drained_ns: Number(now()), results: keys.length };
  } else if (op === "latency") {
    const sent = [], start = ns();
    for (let i = 0; i < a.n; i++) {
      const d = (start + i * a.gap * 1e9 - ns()) / 1e9;
      if (d > 0) await nap(d);
      sent.push(Number(now()));
      await add("noop", i, "x");
    }
    out = { sent_ns: sent };
  } else if (op === "roundtrip") {
    const ev = new QueueEvents("bench", { connection }), spans = [];
    await ev.waitUntilReady();
    for (let i = 0; i < a.n; i++) {
      const t = ns();
      const job = await add("noop", a.first + i, "x");
      await job.waitUntilFinished(ev, 30000);
      spans.push((ns() - t) / 1e6);
      await nap(0.01);
    }
    out = { rtt_p50_ms: q(spans, 0.5), rtt_p99_ms: q(spans, 0.99) };
  } else if (op === "chord") {
    await add("noop", 1000000, "x");
    const flow = new FlowProducer({ connection }), children = [];
    await flow.waitUntilReady();
    for (let i = 0; i < a.n; i++) children.push({ name: "noop", queueName: "bench", data: { a: i, b: "x" } });
    const t = now();
    await flow.add({ name: "callback", queueName: "bench", data: {}, children });
    out = { t0_ns: Number(t), submit_s: Number(now() - t) / 1e9 };
  } else if (op === "flood") {
    await add("noop", 0, "x");
    const t0 = now(), end = t0 + BigInt(Math.round(a.seconds * 1e9));
    let i = 0;
    while (now() < end) for (let k = 0; k < 20; k++) await add("noop", ++i, "some-video-id");
    out = { t0_ns: Number(t0), t1_ns: Number(now()), sent: i };
  }
  console.log(JSON.stringify(out));
  process.exit(0);
}
const [mode, args] = process.argv.slice(2);
if (mode === "worker") worker(); else client(mode, JSON.parse(args)).catch((e) => { console.error(e); process.exit(1); });
