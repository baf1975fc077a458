--#include limiting
-- Handing out work. The answer holds seven items for each claim: id, number of its line, number of its name (nil: a
-- like member), payload (nil: the template's), pushed at, kept for, and what is rare: {expires, counts, generation,
-- group + place, body of, row, what it follows, token, started} or a like member's row.
local flat, lines, line_numbers, names, seen_names = {}, {}, {}, {}, {}
local templates, seen_templates = {}, {}
local first_token, last_token, spent
local limited, held_back_now -- is there any limit; entries that this call has held back

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
-- expired, without a token, or after all to be handed out. Returns true if the session holds it now, nil if it is to be
-- held back. `L`: the limit that has held it back until now.
local function take_uncommon(id, q, number, session, nonce, L)
  local r = load(id)
  if not r then return false end
  if L and not r.broken and not (r.state == 'r' and has(r, HELD) and not has(r, LEFT)) then
    if has(r, LEFT) and has(r, HELD) then
      flag(r, LEFT, false)
      flag(r, HELD, false)
      save(r)
    end
    return false
  elseif L then
    flag(r, HELD, false)
    let_go(L.n, L.queue, L.priority)
  end
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
  local K = limited and not L and not f.A and limit_of(r.name)
  if K and not has_token(K) then
    flag(r, HELD, true)
    save(r)
    return nil, r.name
  end
  if K then pay(K) end
  if L then save(r) end
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

-- Flags of records with nothing more to look at: is the payload a key of its own? The others are the envelope's follow.
local PLAIN = { ['8'] = true, ['128'] = false, ['136'] = true, ['256'] = false, ['264'] = true }

-- Hands out members of a group as long as there are tokens for them. Returns how many, and false if there was no token.
local function take_limited(G, L, number, want, session, nonce, held)
  if L and not (G.x and tonumber(G.x) <= now) then -- what expires pays nothing
    want = tokens(L, want)
    if want == 0 then return 0, false end
    local n = take_members(G, number, want, session, nonce, held)
    for _ = 1, n do pay(L) end
    return n, true
  end
  return take_members(G, number, want, session, nonce, held), true
end

-- Takes from one line; returns how many more are wanted, and whether the line is empty now.
local function take_line(queue, q, priority, want, session, nonce, held)
  local key = line(queue, priority)
  local number
  local ask, back = want, {}
  local function goes_to_held_line(n, entry)
    if not back[n] then back[n] = {} end
    back[n][#back[n] + 1] = entry
    held_back_now = held_back_now + 1
  end
  while want > 0 and spent < 200 and held_back_now < 1000 do
    local entries = call('LRANGE', key, 0, ask - 1)
    if not entries[1] then return want, true end
    number = number or line_number(queue, priority)
    local short = #entries < ask
    local used, plain = 0, 0
    for _, id in ipairs(entries) do
      if want == 0 or held_back_now == 1000 then break end
      if #id == 17 and string.byte(id) == 103 then
        local G = group(string.sub(id, 2))
        if G then
          local n, able = take_limited(G, limited and limit_of(G.n), number, want, session, nonce, held)
          want = want - n
          if not able then
            call('HSET', G.key, 'M', '1')
            G.M = '1'
            goes_to_held_line(G.n, id)
          elseif G.c < G.rows then
            short = false
            break
          end
        end
      else
        local record = P .. 't:' .. id
        local v = redis.pcall('HMGET', record, 's', 'f', 'n', 'p', 'a', 't')
        local taken, n
        local flags = v[2]
        if flags and not v[1] and PLAIN[flags] ~= nil then
          if PLAIN[flags] then v[4] = call('GET', P .. 'p:' .. id) end
          flags = false
        end
        if v[4] and v[3] and not v[1] and not flags then
          n = v[3]
          local L = limited and limit_of(n)
          if L and not has_token(L) then
            call('HSET', record, 'f', HELD + (tonumber(v[2] or nil) or 0))
            taken = nil
          else
            if L then pay(L) end
            if not seen_names[n] then show_name(n) end
            hold(record, session, nonce)
            add_claim(id, number, n, v[4], v[5], v[6], false)
            taken = true
          end
        else
          taken, n = take_uncommon(id, q, number, session, nonce)
        end
        if taken then
          held[#held + 1] = id
          want = want - 1
          plain = plain + 1
        elseif taken == nil then
          goes_to_held_line(n, id)
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
    for n, ids in pairs(back) do
      hold_back(n, queue, priority, ids)
      limit_of(n).dirty = true
      back[n] = nil
      ask = 100
    end
    if short and used == #entries then return want, true end
  end
  return want, false
end

-- Takes from what limits hold back in a queue at one priority. Returns how many more are wanted.
local function take_held_line(key, queue, q, priority, want, session, nonce, held)
  local n = intern('n', string.sub(key, 6))
  local limit = limit_of(n)
  local L = limit or { n = n }
  L.queue, L.priority = queue, priority
  local list, number = held_line(n, queue, priority), line_number(queue, priority)
  while want > 0 and spent < 200 do
    if limit and not has_token(limit) then break end
    local entry = call('LINDEX', list, 0)
    if not entry then -- records that somebody took away are counted still
      local counted = tonumber(call('HGET', P .. 'hl:' .. key, priority .. ':' .. queue) or nil)
      if counted then let_go(n, queue, priority, counted) end
      break
    end
    if #entry == 17 and string.byte(entry) == 103 then
      local G = group(string.sub(entry, 2))
      if G and G.M then want = want - take_limited(G, limit, number, want, session, nonce, held) end
      if not G or not G.M then
        call('LPOP', list)
      elseif G.c >= G.rows then
        let_go_cursor(G)
      end
    else
      call('LPOP', list)
      if take_uncommon(entry, q, number, session, nonce, L) then
        if limit then pay(limit) end
        held[#held + 1] = entry
        want = want - 1
        count(q, 'r', -1)
        count(q, 'n', 1)
      else
        spent = spent + 1
      end
      if put_off[1] then
        put_in_front(put_off)
        put_off = {}
      end
    end
  end
  return want
end
-- The held back lines of a queue: keys by priority.
local function held_lines(queue)
  local by_priority = {}
  for _, item in ipairs(call('ZRANGE', P .. 'hq:' .. queue, 0, -1)) do
    local priority = string.sub(item, 1, 1)
    local keys = by_priority[priority] or {}
    keys[#keys + 1] = string.sub(item, 3)
    by_priority[priority] = keys
  end
  return by_priority
end

-- True if something held back could be handed out now.
local function may_go(by_priority, queue)
  for priority, keys in pairs(by_priority) do
    for _, key in ipairs(keys) do
      local n = intern('n', string.sub(key, 6))
      local L = limit_of(n)
      if (not L or has_token(L)) and call('EXISTS', held_line(n, queue, priority)) == 1 then return true end
    end
  end
  return false
end

-- The priorities that may be in use, as bits; `gone` is not, as has been seen.
local function marks(queue, gone)
  local bits = tonumber(call('HGET', P .. 'q:' .. queue, 'm') or nil) or 0
  if gone and math.floor(bits / 2 ^ gone) % 2 == 1 then
    bits = bits - 2 ^ gone
    call('HSET', P .. 'q:' .. queue, 'm', bits)
  end
  return bits
end

local function take_queue(queue, want, session, nonce, held)
  local v = call('HMGET', P .. 'q:' .. queue, 'z', 'm', 'h')
  if v[1] then return want end
  local q = queue_number(queue)
  local behind = v[3] and v[3] ~= '0' and held_lines(queue)
  local function take_behind(priority)
    for _, key in ipairs(behind[priority] or {}) do
      want = take_held_line(key, queue, q, priority, want, session, nonce, held)
    end
  end
  if behind then take_behind('0') end
  local empty
  want, empty = take_line(queue, q, '0', want, session, nonce, held)
  local bits = tonumber(v[2]) or 0
  -- Ends on the way enqueue more: what follows an expired task, a body of a group. So the marks are read anew.
  if rung[queue] then bits = marks(queue) end
  if bits > 1 or behind then
    for priority = 1, 9 do
      if behind and behind[int(priority)] then
        take_behind(int(priority))
        bits = marks(queue)
      end
      if math.floor(bits / 2 ^ priority) % 2 == 1 then
        if want > 0 then want = take_line(queue, q, int(priority), want, session, nonce, held) end
        local left = call('EXISTS', line(queue, int(priority))) == 1
        if left then empty = false end
        bits = marks(queue, not left and priority)
      end
    end
  end
  if empty == false and want == 0 and bits < 2 then empty = call('EXISTS', line(queue, '0')) == 0 end
  if empty and rung[queue] then -- an end on the way may have released a group's body
    for priority = 0, 9 do
      if call('EXISTS', line(queue, int(priority))) == 1 then empty = false end
    end
  end
  if empty and not (behind and may_go(behind, queue)) then silence(queue) end
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
      limited, held_back_now = call('EXISTS', P .. 'lm') == 1, 0
      local held, mark_of_session = {}, '@' .. session
      for _, queue in ipairs(queues) do
        if want > 0 and held_back_now < 1000 then want = take_queue(queue, want, mark_of_session, nonce, held) end
      end
      if held[1] then
        call('SADD', P .. 's:' .. session, unpack(held))
        call('SET', P .. 'k', int(last_token))
      end
    end
  end
  save_limits()
  save_groups()
  close_books()
  if delayed then next_due = call('ZRANGE', P .. 'd', 0, 0, 'WITHSCORES')[2] or false end
  if held_back_now == 1000 then next_due = now end
  if next_due then next_due = int(tonumber(next_due)) end
  return { now_text, next_due, first_token and int(first_token) or false, flat, lines, names, templates }
end
