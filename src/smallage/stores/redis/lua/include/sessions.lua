--#include moves
-- Sessions: `l` lease ends, h:<session> what it announced (L lease, I info, i inbox, m names, o last nonce), s:<session>
-- held ids, `lc` how many have which lease, `nc` how many announced which name.
local function names_in(text) return string.gmatch(text or '', '[^%z]+') end
local function uncount(v)
  if call('HINCRBY', P .. 'lc', v[1], -1) <= 0 then call('HDEL', P .. 'lc', v[1]) end
  for name in names_in(v[2]) do
    if call('HINCRBY', P .. 'nc', name, -1) <= 0 then call('HDEL', P .. 'nc', name) end
  end
end
-- The records that a session holds, by falling token.
local function held_records(session)
  local held = {}
  for _, id in ipairs(call('SMEMBERS', P .. 's:' .. session)) do
    local r = load(id)
    if r and r.session == session then held[#held + 1] = r end
  end
  table.sort(held, function(a, b) return a.tok > b.tok end)
  return held
end
-- Ends a session; `each` moves what it held. Returns the ids by rising token, or nil if there is no such session.
local function end_session(session, each)
  local v = call('HMGET', P .. 'h:' .. session, 'L', 'm', 'Q')
  if not v[1] then return nil end
  local held = held_records(session)
  local ids = {}
  for i, r in ipairs(held) do
    drop_claim(r)
    each(r)
    write(r)
    ids[#held + 1 - i] = r.id
  end
  dropped[session] = nil
  uncount(v)
  call('ZREM', P .. 'l', session)
  call('UNLINK', P .. 'h:' .. session, P .. 's:' .. session)
  -- It may have taken a stroke that was meant for work it never claimed.
  for queue in names_in(v[3]) do ring(queue, 1) end
  return ids
end
