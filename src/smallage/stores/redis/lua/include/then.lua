--#include insert
-- Messages that follow a settled task, or come along with a group: what is there already changes nothing.
local function push_then()
  for _ = 1, number() do
    local run = read_run()
    local n, first = run.n, run.first
    run.n = 1
    for i = 1, n do
      run.first = first + (i - 1) * run.width
      look(run, {})
      write_run(run)
    end
  end
end
-- Passes over the messages that would have followed.
local function skip_then()
  for _ = 1, number() do read_run() end
end

-- Ends of tasks that never run: id, state, name, queue, bytes result, reason, keep. A waiting task ends; an id that
-- nobody has gets a record that has ended; else nothing changes.
local function end_one(id, state, name, queue, result, reason, keep)
  local r = load(id)
  if r and gone(r) then
    remove(r)
    r = nil
  end
  if r then
    if r.state ~= '2' then return end
    unplace(r)
    flag(r, SEAT, false)
  elseif place_of(id) then
    return
  else
    r = { id = id, f = {}, new = {}, q = queue_number(queue), prio = '0', keep = tonumber(keep) or DAY, flags = 0, gen = 1,
      tok = 0, state = '-' }
    put(r, 'n', intern('n', name))
    put(r, 'q', r.q ~= '0' and r.q or nil)
    put(r, 't', keep)
    put(r, 'a', now_text)
    if call('EXISTS', P .. 'ra') == 1 and call('ZSCORE', P .. 'ra', id) then flag(r, COMES_BACK, true) end
  end
  flag(r, GIVEN, state == '4')
  finish(r, state, reason, result)
  write(r)
end
local function end_others(passed)
  for _ = 1, number() do
    local id, state, name, queue, result, reason, keep = arg(), arg(), arg(), arg(), bytes(), maybe(), maybe()
    if not passed then end_one(id, state, name, queue, result, reason, keep) end
  end
end
--#scope
