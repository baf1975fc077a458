-- Accepts new tasks, all or none. In: the known epoch or '', 1 if the ids are all different, number of runs, runs (see
-- include/insert.lua). Keys: t:, p:, r:, d, q:, b:, n. Answer: a letter for each task, o(k) d(up) c(onflict), then the
-- epoch if it is not the known one.
--#include epoch
--#include insert
local epoch = check_epoch()
if not epoch then return false end
local distinct = arg() == '1'
local runs = {}
for i = 1, number() do runs[i] = read_run() end

-- Nothing may be there yet: one look at all ids tells. Otherwise each is looked at.
local fresh = distinct
if fresh then
  local keys = {}
  for _, run in ipairs(runs) do
    for i = run.first, run.first + run.n * run.width - 1, run.width do
      local id = ARGV[i]
      keys[#keys + 1] = P .. 't:' .. id
      if string.byte(id) == 109 and #id ~= 16 then fresh = false end
    end
  end
  fresh = fresh and (keys[1] == nil or call('EXISTS', unpack(keys)) == 0)
end
local answer, old, mixed = {}, {}, false
if not fresh then
  local digests = {}
  for _, run in ipairs(runs) do
    run.letters = {}
    for i = 1, run.n do
      local base = run.first + (i - 1) * run.width
      local id, digest = ARGV[base], ARGV[base + 2]
      local how, over = verdict(id, digest)
      if digests[id] then
        over = nil
        if how == 'o' then how = digests[id] == digest and 'd' or 'c' end
      else
        digests[id] = digest
      end
      if over then old[#old + 1] = over end
      if how == 'c' then mixed = true end
      run.letters[i] = how
      answer[#answer + 1] = how
    end
  end
end
if mixed then return { table.concat(answer), epoch } end

-- The first write grows memory, so that a full server refuses the whole.
if old[1] then
  call('SET', P .. '-', '1')
  for _, r in ipairs(old) do remove(r) end
  call('UNLINK', P .. '-')
end
for _, run in ipairs(runs) do
  prepare(run)
  local ids = {}
  for i = 1, run.n do
    if fresh or run.letters[i] == 'o' then ids[#ids + 1] = write_record(run, i) end
  end
  if ids[1] then place_run(run, ids) end
end
close_books()
return { table.concat(answer), epoch }
