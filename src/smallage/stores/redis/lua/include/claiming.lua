--#include promote
-- Handing out work. The answer holds seven items for each claim: id, number of its line, number of its name (nil: a
-- like member), payload (nil: the template's), pushed at, kept for, and what is rare: {expires, counts, generation,
-- group + place, body of, row, what it follows, token, started} or a like member's row.
local flat, lines, line_numbers, names, seen_names = {}, {}, {}, {}, {}
local templates, seen_templates = {}, {}
local first_token, last_token, spent

local function show_template(G)
  if seen_templates[G.raw] then return end
  seen_templates[G.raw] = true
  templates[#templates + 1] = { G.raw, text_of('n', G.n), call('HGET', G.key, 'p'), int(G.a), G.x or false, G.t or false }
end
local function show_name(n)
  if seen_names[n] then return end
  seen_names[n] = true
  names[#names + 1] = n
  names[#names + 1] = text_of('n', n)
end
local function line_number(queue, priority)
  local key = priority .. queue
  if not line_numbers[key] then
    lines[#lines + 1] = { queue, priority }
    line_numbers[key] = #lines
  end
  return line_numbers[key]
end
local function add_claim(id, number, name, payload, pushed, keep, rare)
  local m = #flat
  flat[m + 1], flat[m + 2], flat[m + 3], flat[m + 4] = id, number, name, payload
  flat[m + 5], flat[m + 6], flat[m + 7] = pushed, keep, rare
end

-- Tokens of a call are consecutive; the start is the call's instant, kept as its distance from the token.
local function hold(key, session, nonce)
  last_token = last_token + 1
  if last_token == now then
    call('HSET', key, 's', session, 'k', now_text, 'o', nonce)
  else
    call('HSET', key, 's', session, 'k', last_token, 'o', nonce, 'b', last_token - now)
  end
end
local function group_runs(G)
  G.R = G.R + 1
  touch(G)
end

-- What an entry that is not simply ready turns out to be: left behind by a task that is not ready any more, damaged,
-- expired, or after all to be handed out. Returns true if the session holds it now.
local function take_uncommon(id, q, number, session, nonce)
  local r = load(id)
  if not r then return false end
  if r.broken then
    damaged(id, q)
    return false
  end
  if r.state ~= 'r' then
    if has(r, LEFT) then
      flag(r, LEFT, false)
      save(r)
    end
    return false
  end
  local f = r.f
  local G = r.group and group(r.group)
  local of = r.like and G or f
  local payload = get_bytes(r, 'p') or false
  if not r.name or not (payload or (r.like and G)) then
    damaged(id, q)
    return false
  end
  local expires = f.x or of.x
  if expires and expires ~= '0' and (tonumber(expires) or 0) <= now then
    count(q, 'r', -1)
    end_by_store(r, '5', 'expired', nil)
    write(r)
    return false
  end
  local row = false
  if r.like then
    if not payload then row = call('LINDEX', chunk(G, 'a', r.index), r.index % 128) end
    show_template(G)
  else
    show_name(f.n)
  end
  if f.z == '1' then call('HSET', key_of(id), 'z', f.k) end
  if f.b then call('HDEL', key_of(id), 'b') end
  hold(key_of(id), session, nonce)
  if G then group_runs(G) end
  add_claim(id, number, not r.like and f.n, payload, f.a or false, f.t or false,
    { f.x or false, f.v or false, f.h or false, f.i or false, f.j or false, row, f.A or false })
  return true
end

-- Hands out up to `want` next members of a group by its cursor. Returns how many; the cursor says whether it is spent.
local function take_members(G, number, want, session, nonce, held)
  local first = G.c
  local last = math.min(first + want, G.rows) - 1
  if last < first then return 0 end
  local ids, keys = {}, {}
  local before = 'm' .. G.raw
  local key_before = P .. 't:' .. before
  for index = first, last do
    local i = index - first + 1
    ids[i], keys[i] = before .. index, key_before .. index
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
      local r = { id = id, f = {}, new = {}, group = G.raw, index = index, like = true, name = G.n, q = G.q, prio = G.r,
        keep = tonumber(G.t) or DAY, flags = 0, gen = 1, tok = 0, state = 'r' }
      end_by_store(r, '5', 'expired', nil)
      write(r)
    else
      hold(keys[i], session, nonce)
      n = n + 1
      held[#held + 1] = id
      add_claim(id, number, false, false, false, false, rows[i] or '')
    end
  end
  if G.rows - G.c - G.w <= 0 then G.c, G.w = G.rows, 0 end
  count(G.q, 'r', -n)
  count(G.q, 'n', n)
  G.R = G.R + n
  G.S = G.S + n
  touch(G)
  return n
end

-- Takes from one line; returns how many more are wanted, and whether the line is empty now.
local function take_line(queue, q, priority, want, session, nonce, held)
  local key = line(queue, priority)
  local number
  while want > 0 and spent < 200 do
    local entries = call('LRANGE', key, 0, want - 1)
    if not entries[1] then return want, true end
    number = number or line_number(queue, priority)
    local short = #entries < want
    local used, plain = 0, 0
    for _, id in ipairs(entries) do
      if want == 0 then break end
      if #id == 17 and string.byte(id) == 103 then
        local G = group(string.sub(id, 2))
        if G then want = want - take_members(G, number, want, session, nonce, held) end
        if G and G.c < G.rows then
          short = false
          break
        end
      else
        local record = P .. 't:' .. id
        local v = redis.pcall('HMGET', record, 's', 'f', 'n', 'p', 'a', 't')
        local taken
        local flags = v[2]
        if flags == '8' and not v[1] then
          v[4] = call('GET', P .. 'p:' .. id)
          flags = false
        end
        if v[4] and v[3] and not v[1] and not flags then
          local n = v[3]
          if not seen_names[n] then show_name(n) end
          hold(record, session, nonce)
          add_claim(id, number, n, v[4], v[5], v[6], false)
          taken = true
        else
          taken = take_uncommon(id, q, number, session, nonce)
        end
        if taken then
          held[#held + 1] = id
          want = want - 1
          plain = plain + 1
        else
          spent = spent + 1
        end
      end
      used = used + 1
      if put_off[1] then -- what follows an expired task comes first
        short = false
        break
      end
    end
    if plain > 0 then
      count(q, 'r', -plain)
      count(q, 'n', plain)
    end
    if used > 0 then call('LPOP', key, used) end
    if put_off[1] then
      put_in_front(put_off)
      put_off = {}
    end
    if short and used == #entries then return want, true end
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
    else
      show_name(f.n)
    end
    add_claim(r.id, line_number(text_of('q', r.q), r.prio), not r.like and f.n, payload, f.a or false, f.t or false,
      { f.x or false, f.v or false, f.h or false, f.i or false, f.j or false, row, f.A or false, f.k,
        int(r.tok - (tonumber(f.b) or 0)) })
  end
end

-- session, nonce, n, number of queues, queues. Answer: {now, next due instant, first token, claims, lines, names,
-- templates}.
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
      first_token = math.max((tonumber(call('GET', P .. 'k') or nil) or 0) + 1, now)
      last_token, spent, put_off = first_token - 1, 0, {}
      local held, mark_of_session = {}, '@' .. session
      for _, queue in ipairs(queues) do
        if want > 0 then want = take_queue(queue, want, mark_of_session, nonce, held) end
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
  return { now_text, next_due, first_token and int(first_token) or false, flat, lines, names, templates }
end
