-- Makes a tick of a schedule happen once. In: known epoch, name, nominal instant, 1 and the spec that the tick is of, or
-- 0, number of runs (0: nothing is pushed), runs. Keys: y:<name>, those of push. Answer: {f(ired) l(ate) p(aused)
-- c(hanged) u(nknown), epoch if it is not the known one}.
--#include epoch
--#include insert
local epoch = check_epoch()
if not epoch then return false end
local key, instant = P .. 'y:' .. arg(), number()
local spec, run = bytes(), nil
for _ = 1, number() do run = read_run() end
local v = call('HMGET', key, 's', 'x', 'p', 'l')
if not v[1] or v[2] then return { 'u', epoch } end
if v[3] == '1' then return { 'p', epoch } end
if spec and spec ~= v[1] then return { 'c', epoch } end
if v[4] and instant <= tonumber(v[4]) then return { 'l', epoch } end
-- With something to push the first write grows memory, and a full server refuses the whole; without, it cannot.
if not run then
  call('UNLINK', key .. ':')
elseif not look(run, {}, true) then
  if run.letters[1] ~= 'd' and run.old[1] then
    call('SET', P .. '-', '1')
    call('UNLINK', P .. '-')
  end
  write_run(run)
end
call('HSET', key, 'l', int(instant))
if run then call('HINCRBY', key, 'n', 1) end
save_groups()
close_books()
return { 'f', epoch }
