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
  local n = G.rows - G.c - G.w
  if n > 0 then
    count(G.q, G.P and 's' or 'r', -n)
    G.V = (G.V or '') .. int(G.c) .. ' ' .. int(G.rows) .. ' ' .. int(now) .. ';'
    call('HSET', G.key, 'V', G.V)
    G.C = G.C + n
    total('cancelled', n)
    touch(G)
    tell_all(G.raw)
  end
  if G.M then
    let_go_cursor(G)
  elseif not G.P and G.c < G.rows then
    call('LREM', line(text_of('q', G.q), G.r), 1, 'g' .. G.raw)
  end
  unplace_cursor(G)
  G.c, G.w = G.rows, 0
  G.dirty = true
  return n
end
-- Ends one unclaimed like member.
local function cancel_row(G, id, index)
  count(G.q, G.P and 's' or 'r', -1)
  local r = { id = id, f = {}, sets = {}, drops = {}, new = {}, group = G.raw, index = index, like = true, name = G.n,
    q = G.q, prio = G.r, keep = tonumber(G.t) or DAY, flags = 0, gen = 1, tok = 0, state = '-' }
  finish(r, '6', 'revoked', nil)
  write(r)
  if G.rows - G.c - G.w <= 0 then cancel_rows(G) end
end
-- Ends those of the rows from `first` on that were revoked before they came.
local function cancel_ahead(G, first)
  if call('EXISTS', P .. 'ra') == 0 then return end
  for index = first, G.rows - 1 do
    local id = 'm' .. G.raw .. int(index)
    local ahead = tonumber(call('ZSCORE', P .. 'ra', id) or nil)
    if ahead and ahead + AHEAD > now then cancel_row(G, id, index) end
  end
end
-- Remembers the revoke of a task that has not come: in the place of its record, where a push looks anyway.
local function remember(id)
  local old = load(id)
  if old then remove(old) end
  if not place_of(id) then call('HSET', key_of(id), 's', '7', 'e', now) end
  call('ZADD', P .. 'ra', now, id)
  local over = call('ZCARD', P .. 'ra') - 50000
  if over > 0 then
    local oldest = call('ZPOPMIN', P .. 'ra', over)
    for i = 1, #oldest, 2 do forget_ahead(oldest[i]) end
  end
end
local function revoke_one(id, terminate)
  local r = find(id)
  if not r then
    local raw, index = place_of(id)
    local G = raw and living(raw)
    if not G or G.U or index >= G.rows then
      remember(id)
      return 'u'
    end
    if entry_of(G, index) then return 'e' end
    cancel_row(G, id, index)
    return 'c'
  end
  if ENDED[r.state] then return 'e' end
  if r.f.A then return 'r' end -- what follows an end cannot be stopped
  if r.state == 'n' then
    if not terminate then
      flag(r, REVOKED, true)
      write(r)
      return 'r'
    end
    send_order(r.session, 'cancel', id, r.tok, '')
    drop_claim(r)
    flag(r, RAN, true)
    end_by_store(r, '6', 'terminated', nil)
  else
    unplace(r)
    end_by_store(r, '6', 'revoked', nil)
  end
  write(r)
  return 'c'
end
