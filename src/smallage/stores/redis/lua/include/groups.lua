--#include held
-- Groups: hash g:<raw id>. Loaded once a script, changed as a table, written back by `save_groups`.
local GROUP = { 'a', 'D', 'F', 'C', 'R', 'Y', 'S', 'T', 'c', 'w', 'e', 'B', 'f', 'L', 'K', 'd', 'x', 't', 'm', 'n', 'q', 'r', 'g',
  'z', 'v', 'b', 'U', 'V', 'h', 'P', 'M' }
local groups = {}
local function group(raw)
  local G = groups[raw]
  if G ~= nil then return G end
  local v = call('HMGET', P .. 'g:' .. raw, unpack(GROUP))
  if not v[1] then
    groups[raw] = false
    return false
  end
  G = { raw = raw, key = P .. 'g:' .. raw }
  for i = 1, 15 do G[GROUP[i]] = tonumber(v[i]) or 0 end
  if not v[15] then G.K = DAY end
  for i = 16, #GROUP do G[GROUP[i]] = v[i] or nil end
  G.rows = G.T - G.L -- members that came late stand behind the rows
  G.q = G.q or '0'
  G.r = G.r or '0'
  groups[raw] = G
  return G
end
local function touch(G)
  G.S = G.S + 1
  G.dirty = true
  tell(G.raw)
end
local function group_gone(G)
  if G.e == 0 or (G.b and G.B == 0) or G.K == -1 then return false end
  return math.max(G.e, G.B) + math.max(G.K, TOMB) <= now
end
local function living(raw)
  local G = group(raw)
  if G and not group_gone(G) then return G end
end
-- Once a group and its body have ended, its removal is due.
local function list_group(G)
  if G.e ~= 0 and not (G.b and G.B == 0) and G.K ~= -1 then
    list_ending('g' .. G.raw, math.max(G.e, G.B) + math.max(G.K, TOMB))
  end
end
-- A like member: its raw group id and place, from an id that begins with m.
local function place_of(id)
  if string.byte(id) == 109 and #id > 17 then return string.sub(id, 2, 17), tonumber(string.sub(id, 18)) end
end
local function chunk(G, kind, index) return G.key .. ':' .. kind .. ':' .. int(math.floor(index / 128)) end
-- The cursor of like members is held back no more.
local function let_go_cursor(G)
  local queue = text_of('q', G.q)
  call('LREM', held_line(G.n, queue, G.r), 1, 'g' .. G.raw)
  call('HDEL', G.key, 'M')
  G.M = nil
  let_go(G.n, queue, G.r)
end
local function save_groups()
  for _, G in pairs(groups) do
    if G and G.dirty then
      call('HSET', G.key, 'D', G.D, 'F', G.F, 'C', G.C, 'R', G.R, 'Y', G.Y, 'S', G.S, 'c', G.c, 'w', G.w, 'e', G.e,
        'B', G.B)
      G.dirty = false
    end
  end
end
--#scope
