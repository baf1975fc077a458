-- Cancels a group: its unclaimed rows in one step; members with records from place `from` on, up to 200 a call. In: raw id,
-- 1 to stop running ones too, from. Keys: those of revoke, g:<id>. Answer: {how many ended, next place or -1}.
--#include drain
--#include revoking
--#include members
local raw, terminate, from = arg(), arg() == '1', number()
local G = living(raw)
if not G or G.e ~= 0 then return { 0, -1 } end
local claimed = G.c
local n = 0
if not G.v then
  G.v = '1'
  call('HSET', G.key, 'v', '1')
end
if G.g then
  local reach = tonumber(call('HGET', G.key, 'H') or nil) or claimed
  if from == 0 then
    reach = claimed
    call('HSET', G.key, 'H', reach)
    n = cancel_rows(G)
  end
  claimed = reach
else
  claimed = G.T
end
-- Behind the rows that had been claimed come the members that came late.
local behind = G.rows - claimed
local reach = claimed + G.T - G.rows
if G.U then behind, reach = 0, G.T end
local last = math.min(from + 200, reach) - 1
for step = from, last do
  local index = step < claimed and step or step + behind
  local id = member_at(G, index)
  local r = id and load(id)
  if r and r.group == raw and not ENDED[r.state] and (r.state ~= 'n' or terminate) then
    if revoke_one(id, terminate) == 'c' then n = n + 1 end
  end
end
touch(G)
local more = last + 1 < reach and last + 1 or -1
finish_if_ended(G)
save_groups()
close_books()
return { n, more }
