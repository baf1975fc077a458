-- Accepts new tasks, all or none. In: the known epoch or '', 1 if the ids are all different, number of runs, runs (see
-- include/insert.lua). Keys: t:, p:, r:, d, q:, b:, n, w, ra. Answer: a letter for each task, o(k) d(up) c(onflict), then
-- the epoch if it is not the known one.
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
local answer, known, mixed = {}, false, false
if not fresh then
  local digests = {}
  for _, run in ipairs(runs) do
    if look(run, digests, true) then mixed = true end
    for i = 1, run.n do
      local how = run.letters[i]
      answer[#answer + 1] = (how == 'd' or how == 'c') and how or 'o'
      known = known or how ~= 'd' and run.old[i] ~= nil
    end
  end
end
if mixed then return { table.concat(answer), epoch } end

-- The first write grows memory, so that a full server refuses the whole.
if known then
  call('SET', P .. '-', '1')
  call('UNLINK', P .. '-')
end
for _, run in ipairs(runs) do write_run(run) end
save_groups()
close_books()
return { table.concat(answer), epoch }
