--#include promote
-- Handing out work. A claim is {id, token, started, session?, queue, priority, name, fields…} as work.py reads it; the
-- templates of like members come once each.
local TAKEN = { 'n', 'p', 's', 'x', 'f', 'v', 'h', 'a', 't', 'i', 'j', 'z', 'k', 'g' }
local claims, templates, seen_templates = {}, {}, {}
local last_token, spent

local function show_template(G)
  if seen_templates[G.raw] then return end
  seen_templates[G.raw] = true
  templates[#templates + 1] = { G.raw, text_of('n', G.n), call('HGET', G.key, 'p'), int(G.a), G.x or false, G.t or false }
end

local function next_token()
  last_token = math.max(last_token + 1, now)
  return last_token
end

-- Hands out ordinary records and members that have one. Returns true if the task is now in the session's hands.
local function take_record(id, queue, q, priority, session, nonce, held)
  local key = key_of(id)
  local v = redis.pcall('HMGET', key, unpack(TAKEN))
  if v.err then
    damaged(id, q)
    return false
  end
  if v[3] or not (v[14] or v[13] or v[7]) then
    -- Left behind by a task that is not ready any more.
    local flags = tonumber(v[5] or nil)
    if flags and math.floor(flags / LEFT) % 2 == 1 then
      flags = flags - LEFT
      if flags == 0 then call('HDEL', key, 'f') else call('HSET', key, 'f', flags) end
    end
    return false
  end
  local G
  if not v[1] then
    local raw = place_of(id)
    G = raw and group(raw)
    if not G then
      damaged(id, q)
      return false
    end
  end
  local expires = v[4] or (G and G.x)
  if expires and expires ~= '0' and tonumber(expires) <= now then
    local r = load(id)
    count(q, 'r', -1)
    finish(r, '5', 'expired', nil)
    write(r)
    return false
  end
  if v[5] and math.floor(tonumber(v[5]) / P_OUT) % 2 == 1 then v[2] = call('GET', P .. 'p:' .. id) end
  local row = false
  if not v[2] then
    if not G then
      damaged(id, q)
      return false
    end
    local _, index = place_of(id)
    row = call('LINDEX', chunk(G, 'a', index), index % 128)
  end
  if G then show_template(G) end
  if v[1] then v[1] = text_of('n', v[1]) else v[1] = text_of('n', G.n) end
  local tok = next_token()
  local ahead = tok - now
  if v[12] == '1' then
    call('HSET', key, 's', '@' .. session, 'k', tok, 'o', nonce, 'z', v[13], 'b', ahead)
  elseif ahead ~= 0 or v[13] then
    call('HSET', key, 's', '@' .. session, 'k', tok, 'o', nonce, 'b', ahead)
  else
    call('HSET', key, 's', '@' .. session, 'k', tok, 'o', nonce)
  end
  local of = G
  if v[10] then of = group(string.sub(v[10], 1, 16)) end
  if of then
    of.R = of.R + 1
    touch(of)
  end
  held[#held + 1] = id
  v[3], v[12] = row, nil
  claims[#claims + 1] = { id, int(tok), queue, priority, v }
  return true
end

-- Hands out up to `want` next members of a group by its cursor. Returns how many; the cursor says whether it is spent.
local function take_members(G, queue, priority, want, session, nonce, held)
  local first = G.c
  local last = math.min(first + want, G.T) - 1
  if last < first then return 0 end
  local ids, keys = {}, {}
  for index = first, last do
    local id = 'm' .. G.raw .. int(index)
    ids[#ids + 1] = id
    keys[#keys + 1] = key_of(id)
  end
  local clear = G.w == 0 and call('EXISTS', unpack(keys)) == 0
  local expired = G.x and tonumber(G.x) <= now
  local from = math.floor(first / 128) * 128
  local rows = {}
  while from <= last do
    local a, b = math.max(first, from), math.min(last, from + 127)
    for _, row in ipairs(call('LRANGE', chunk(G, 'a', from), a - from, b - from)) do rows[#rows + 1] = row end
    from = from + 128
  end
  show_template(G)
  local n = 0
  for i, id in ipairs(ids) do
    local index = first + i - 1
    G.c = index + 1
    if not clear and (call('EXISTS', keys[i]) == 1 or call('GETBIT', G.key .. ':b', index) == 1) then
      G.w = math.max(0, G.w - 1)
    elseif expired then
      count(G.q, 'r', -1)
      spent = spent + 1
      local r = { id = id, f = {}, sets = {}, drops = {}, new = {}, group = G.raw, index = index, like = true, name = G.n,
        q = G.q, prio = G.r, keep = tonumber(G.t) or DAY, flags = 0, gen = 1, tok = 0, state = 'r' }
      finish(r, '5', 'expired', nil)
      write(r)
    else
      local tok = next_token()
      local ahead = tok - now
      if ahead ~= 0 then
        call('HSET', keys[i], 's', '@' .. session, 'k', tok, 'o', nonce, 'b', ahead)
      else
        call('HSET', keys[i], 's', '@' .. session, 'k', tok, 'o', nonce)
      end
      G.R = G.R + 1
      held[#held + 1] = id
      n = n + 1
      claims[#claims + 1] = { id, int(tok), queue, priority, { false, false, rows[i] or '' } }
    end
  end
  if G.T - G.c - G.w <= 0 then G.c, G.w = G.T, 0 end
  count(G.q, 'r', -n)
  count(G.q, 'n', n)
  G.dirty = true
  touch(G)
  return n
end

-- Takes from one line; returns how many more are wanted, and whether the line is empty now.
local function take_line(queue, q, priority, want, session, nonce, held)
  local key = line(queue, priority)
  while want > 0 and spent < 200 do
    local entries = call('LRANGE', key, 0, want - 1)
    local short = #entries < want
    local used, plain = 0, 0
    for _, entry in ipairs(entries) do
      if want == 0 then break end
      if #entry == 17 and string.byte(entry) == 103 then
        local G = group(string.sub(entry, 2))
        if G then want = want - take_members(G, queue, priority, want, session, nonce, held) end
        if G and G.c < G.T then
          short = false
          break
        end
      elseif take_record(entry, queue, q, priority, session, nonce, held) then
        want = want - 1
        plain = plain + 1
      else
        spent = spent + 1
      end
      used = used + 1
    end
    if plain > 0 then
      count(q, 'r', -plain)
      count(q, 'n', plain)
    end
    if used > 0 then call('LPOP', key, used) end
    if short and used == #entries then return want, true end
    if #entries == 0 then return want, true end
  end
  return want, false
end

local function take_queue(queue, want, session, nonce, held)
  local v = call('HMGET', P .. 'q:' .. queue, 'z', 'm')
  if v[1] then return want end
  local q = queue_number(queue)
  local empty
  want, empty = take_line(queue, q, '0', want, session, nonce, held)
  local bits = tonumber(v[2]) or 0
  if bits > 1 then
    for priority = 1, 9 do
      if math.floor(bits / 2 ^ priority) % 2 == 1 then
        if want > 0 then
          local bare
          want, bare = take_line(queue, q, int(priority), want, session, nonce, held)
          if bare then bits = bits - 2 ^ priority else empty = false end
        elseif call('EXISTS', line(queue, int(priority))) == 1 then
          empty = false
        end
      end
    end
    if bits ~= tonumber(v[2]) then call('HSET', P .. 'q:' .. queue, 'm', bits) end
  end
  if empty == false and want == 0 and bits < 2 then empty = call('EXISTS', line(queue, '0')) == 0 end
  if empty then silence(queue) end
  return want
end

-- With the session's last nonce: the same claims, as far as they are still held.
local function claim_again(session, nonce)
  local again = {}
  for _, id in ipairs(call('SMEMBERS', P .. 's:' .. session)) do
    local r = load(id)
    if r and r.f.o == nonce then again[#again + 1] = r end
  end
  table.sort(again, function(a, b) return a.tok < b.tok end)
  for _, r in ipairs(again) do
    local f, row = r.f, false
    local payload = get_bytes(r, 'p') or false
    if r.like then
      local G = group(r.group)
      if not payload then row = call('LINDEX', chunk(G, 'a', r.index), r.index % 128) end
      show_template(G)
    end
    claims[#claims + 1] = { r.id, f.k, text_of('q', r.q), r.prio, { text_of('n', r.name), payload, row, f.x or false,
      false, f.v or false, f.h or false, f.a or false, f.t or false, f.i or false, f.j or false },
      int(r.tok - (tonumber(f.b) or 0)) }
  end
end

-- session, nonce, n, number of queues, queues. Answer: {now, next due instant, claims, templates}.
local function claim()
  local session, nonce, want = arg(), arg(), number()
  local queues = {}
  for i = 1, number() do queues[i] = arg() end
  flush_drops()
  local _, next_due = promote(100)
  delayed = false
  local known = call('HMGET', P .. 'h:' .. session, 'L', 'o')
  if known[1] and want > 0 then
    if known[2] == nonce then
      claim_again(session, nonce)
    else
      call('HSET', P .. 'h:' .. session, 'o', nonce)
      last_token, spent = tonumber(call('GET', P .. 'k') or nil) or 0, 0
      local held = {}
      for _, queue in ipairs(queues) do
        if want > 0 then want = take_queue(queue, want, session, nonce, held) end
      end
      if held[1] then
        call('SADD', P .. 's:' .. session, unpack(held))
        call('SET', P .. 'k', int(last_token))
      end
    end
  end
  save_groups()
  close_books()
  if delayed then next_due = call('ZRANGE', P .. 'd', 0, 0, 'WITHSCORES')[2] or false end
  if next_due then next_due = int(tonumber(next_due)) end
  return { int(now), next_due, claims, templates }
end
