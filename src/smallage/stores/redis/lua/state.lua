-- Tasks as readers see them. In: ids. Keys: t:, g:, d, x. Answer: for each nil, or {'t', group fields or nil, name, queue,
-- due, payload is kept?, field, value, …} of a record, or {'m', …} of a like member without one; see readers.py.
--#include record
local answer = {}

local function ranges_end(G, index)
  for a, b, when in string.gmatch(G.V or '', '(%d+) (%d+) (%d+);') do
    if index >= tonumber(a) and index < tonumber(b) then return when end
  end
end
-- The chunk read last, its entries by place: members are mostly asked for in order, and a chunk holds 128 of them.
local chunk_key, chunk_ends
local function member_entry(G, index)
  local key = chunk(G, 'r', index)
  if key ~= chunk_key then
    chunk_key, chunk_ends = key, {}
    for _, entry in ipairs(call('LRANGE', key, 0, -1)) do chunk_ends[string.byte(entry)] = entry end -- the last counts
  end
  return chunk_ends[index % 128]
end
local function row_view(G, index)
  local entry, cancelled = member_entry(G, index), nil
  if not entry then cancelled = ranges_end(G, index) end
  return { 'm', text_of('n', G.n), text_of('q', G.q), G.r, int(G.a), G.x or false, G.P and G.d or false, entry or false,
    cancelled or false }
end
local function view(id)
  local r = load(id)
  if r and gone(r) then r = nil end
  if not r then
    local raw, index = place_of(id)
    local G = raw and living(raw)
    if G and not G.U and index < G.rows then return row_view(G, index) end
    return false
  end
  local due = r.state == '1' and call('ZSCORE', P .. 'd', id)
  local G = r.like and group(r.group)
  local items = { 't', text_of('n', r.name or '='), text_of('q', r.q), r.prio, due and int(tonumber(due)) or false,
    G and int(G.a) or false, G and G.x or false }
  for _, field in ipairs({ 's', 'g', 'a', 'k', 'o', 'b', 'z', 'e', 'v', 'h', 'x', 't', 'c', 'f', 'i' }) do
    if r.f[field] then
      items[#items + 1] = field
      items[#items + 1] = r.f[field]
    end
  end
  local result, note = get_bytes(r, 'y'), get_bytes(r, 'u')
  if result then
    items[#items + 1] = 'y'
    items[#items + 1] = result
  end
  if note then
    items[#items + 1] = 'u'
    items[#items + 1] = note
  end
  return items
end
while at < #ARGV do answer[#answer + 1] = view(arg()) end
return answer
