--#include promote
-- Tokens of limited keys. Hash lm: number of a task name → microseconds from one token to the next, burst; only names
-- with a limit. Hash m:<key>: d default, o override, t the time that its tokens have reached, h entries held back.
local limits = {}
local function limit_of(n)
  local L = limits[n]
  if L == nil then
    L = false
    local every, burst = string.match(call('HGET', P .. 'lm', n) or '', '^(%d+) (%d+)$')
    if every then
      local key = P .. 'm:task:' .. text_of('n', n)
      L = { n = n, key = key, every = tonumber(every), tat = tonumber(call('HGET', key, 't') or nil) or 0 }
      L.ahead = (tonumber(burst) - 1) * L.every
    end
    limits[n] = L
  end
  return L
end
local function has_token(L)
  L.tat = math.min(L.tat, now + L.ahead + L.every) -- the clock may have gone back
  if L.tat - L.ahead <= now then return true end
  L.dirty = true -- asked in vain: its entries come due at its instant
  return false
end
local function pay(L)
  L.tat = math.max(L.tat, now - math.min(math.floor(L.every / 2), 20000)) + L.every
  L.dirty = true
end
-- How many of `want` tokens there are.
local function tokens(L, want)
  if not has_token(L) then return 0 end
  local n, tat = 0, L.tat
  while n < want and tat - L.ahead <= now do
    tat = math.max(tat, now - math.min(math.floor(L.every / 2), 20000)) + L.every
    n = n + 1
  end
  return n
end
local function save_limits()
  for n, L in pairs(limits) do
    if L and L.dirty then
      call('HSET', L.key, 't', int(L.tat))
      if call('HEXISTS', L.key, 'h') == 1 then
        call('ZADD', P .. 'd', int(L.tat - L.ahead), key_entry(n))
        delayed = true
      end
    end
  end
end
