--#include moves
--#include orders
-- Cancelling. A running task is told by an order to its session.
local function entry_of(G, index)
  if call('GETBIT', G.key .. ':b', index) == 1 then return true end
  for a, b in string.gmatch(G.V or '', '(%d+) (%d+) %d+;') do
    if index >= tonumber(a) and index < tonumber(b) then return true end
  end
  return false
end
-- Takes the cursor's entry out of ready or scheduled order. The place of a ready one is passed over by claim.
local function unplace_cursor(G)
  if G.P then
    call('ZREM', P .. 'd', 'g' .. G.raw)
    call('HDEL', G.key, 'P')
    G.P = nil
  end
end
-- Ends the unclaimed like members as one range.
local function cancel_rows(G)
  if not G.g then return 0 end
  local n = G.T - G.c - G.w
  if n > 0 then
    count(G.q, G.P and 's' or 'r', -n)
    G.V = (G.V or '') .. int(G.c) .. ' ' .. int(G.T) .. ' ' .. int(now) .. ';'
    call('HSET', G.key, 'V', G.V)
    G.C = G.C + n
    total('cancelled', n)
    touch(G)
    tell_all(G.raw)
  end
  if not G.P and G.c < G.T then call('LREM', line(text_of('q', G.q), G.r), 1, 'g' .. G.raw) end
  unplace_cursor(G)
  G.c, G.w = G.T, 0
  G.dirty = true
  return n
end
local function revoke_one(id, terminate)
  local r = find(id)
  if not r then
    local raw, index = place_of(id)
    local G = raw and living(raw)
    if not G or G.U or index >= G.T then return 'u' end
    if entry_of(G, index) then return 'e' end
    count(G.q, G.P and 's' or 'r', -1)
    r = { id = id, f = {}, sets = {}, drops = {}, new = {}, group = raw, index = index, like = true, name = G.n, q = G.q,
      prio = G.r, keep = tonumber(G.t) or DAY, flags = 0, gen = 1, tok = 0, state = '-' }
    finish(r, '6', 'revoked', nil)
    write(r)
    if G.T - G.c - G.w <= 0 then cancel_rows(G) end
    return 'c'
  end
  if ENDED[r.state] then return 'e' end
  if r.state == 'n' then
    if not terminate then
      flag(r, REVOKED, true)
      write(r)
      return 'r'
    end
    send_order(r.session, 'cancel', id, r.tok, '')
    drop_claim(r)
    flag(r, RAN, true)
    finish(r, '6', 'terminated', nil)
    write(r)
    return 'c'
  end
  if r.state == '2' then
    count(r.q, 'w', -1)
    call('ZREM', P .. 'w', id)
  else
    unplace(r)
  end
  finish(r, '6', 'revoked', nil)
  write(r)
  return 'c'
end
