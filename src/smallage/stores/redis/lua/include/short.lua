-- The short way of settle and claim: every settlement is a plain task done, every task to hand out is plain and new, and
-- nothing is due. It looks at everything first and writes only if all is so; otherwise nothing has happened and the
-- script goes on to the long way. One straight piece: a function costs time whenever it is defined, used or not.
-- In: `first`, where the settlements begin in ARGV; `n`, how many. Sets `answer` if this was the way.
local answer
repeat
  -- As in claiming.lua: flags with nothing more to look at, and whether the payload is a key of its own.
  local PLAIN = { ['8'] = true, ['128'] = false, ['136'] = true, ['256'] = false, ['264'] = true }
  local P, call, A = KEYS[1], redis.call, ARGV
  local now_text = A[1]
  if now_text == '' then
    local t = call('TIME')
    now_text = t[1] .. string.format('%06d', t[2])
  end
  local now = tonumber(now_text)

  local at, plain = first, true
  local seen, end_ids, end_keys, end_records, end_results = {}, {}, {}, {}, {}
  for i = 1, n do
    local id, kind = A[at], A[at + 4]
    if (kind ~= 'd' and kind ~= 'e') or seen[id] or A[at + 1] ~= '1' or (string.byte(id) == 109 and #id > 17) then
      plain = false
      break
    end
    seen[id] = true
    local key = P .. 't:' .. id
    local v = redis.pcall('HMGET', key, 's', 'k', 'o', 'f', 'q', 't', 'n')
    local keep = v[6]
    if v.err or v[2] ~= A[at + 2] or v[3] ~= A[at + 3] or not v[7] or not v[1] or string.byte(v[1]) ~= 64
        or (v[4] and PLAIN[v[4]] == nil) or (keep and keep ~= '0') then
      plain = false
      break
    end
    local result = false
    if kind == 'd' then
      result = A[at + 5]
      if keep then result = false elseif #result > 64 then plain = false break end
      at = at + 1
    end
    at = at + 5
    end_ids[i], end_keys[i], end_records[i], end_results[i] = id, key, v, result
  end
  if not plain then break end

  local asked = A[at] == '1'
  local session, nonce, first_token, next_due, taken = nil, nil, nil, false, 0
  local take_ids, take_keys, take_records, take_queues = {}, {}, {}, {}
  local silent, spent_lines, known = {}, {}, false
  if asked then
    session, nonce = A[at + 1], A[at + 2]
    local want, queues = tonumber(A[at + 3]), tonumber(A[at + 4])
    known = call('HMGET', P .. 'h:' .. session, 'L', 'o')
    local due = call('ZRANGE', P .. 'd', 0, 0, 'WITHSCORES')[2]
    if not known[1] or known[2] == nonce or want == 0 or (due and tonumber(due) <= now) then break end
    if due then next_due = string.format('%.0f', tonumber(due)) end
    for i = 1, queues do
      if want == 0 or not plain then break end
      local queue = A[at + 4 + i]
      local state = call('HMGET', P .. 'q:' .. queue, 'z', 'm', 'h')
      if state[2] and state[2] ~= '0' then plain = false break end
      if state[3] then -- what is held back may stay so while its key waits for its next token
        local behind = call('ZRANGE', P .. 'hq:' .. queue, 0, -1)
        if #behind > 8 then plain = false break end
        for _, item in ipairs(behind) do
          local name = call('HGET', P .. 'nn', string.sub(item, 8)) or ''
          local every = string.match(call('HGET', P .. 'lm', name) or '', '^%d+')
          local instant = call('ZSCORE', P .. 'd', '%' .. name)
          if not every or not instant or tonumber(instant) > now + every then plain = false break end
        end
        if not plain then break end
      end
      if not state[1] then
        local line = P .. 'r:' .. queue .. ':0'
        local entries = call('LRANGE', line, 0, want) -- one more than wanted: it says whether the line is empty then
        local used = math.min(#entries, want)
        for j = 1, used do
          local id = entries[j]
          local key = P .. 't:' .. id
          if #id == 17 and string.byte(id) == 103 then plain = false break end
          local v = redis.pcall('HMGET', key, 's', 'f', 'n', 'p', 'a', 't')
          if v.err or v[1] or not v[3] or (v[2] and PLAIN[v[2]] == nil) then plain = false break end
          if v[2] and PLAIN[v[2]] then v[4] = call('GET', P .. 'p:' .. id) end
          if not v[4] or seen[id] then plain = false break end
          seen[id] = true
          taken = taken + 1
          take_ids[taken], take_keys[taken], take_records[taken], take_queues[taken] = id, key, v, queue
        end
        if not plain then break end
        want = want - used
        spent_lines[#spent_lines + 1] = { line, used, queue, #entries == used }
      end
    end
  end
  if not plain then break end

  if taken > 0 and call('EXISTS', P .. 'lm') == 1 then
    local asked_for = {}
    for i = 1, taken do
      local name = take_records[i][3]
      if not asked_for[name] and call('HEXISTS', P .. 'lm', name) == 1 then plain = false break end
      asked_for[name] = true
    end
    if not plain then break end
  end

  -- From here on it writes. The first write may not be one that grows memory: a full server would refuse the script.
  local moved, channel = {}, P .. 'e:'
  for _, item in ipairs(spent_lines) do
    if item[2] > 0 then call('LPOP', item[1], item[2]) end
  end
  if taken == 0 then call('UNLINK', P .. '-') end
  if n > 0 then
    local gone, kept, tombs = {}, {}, {}
    for i = 1, n do
      local id, key, v, result = end_ids[i], end_keys[i], end_records[i], end_results[i]
      if v[4] then
        if PLAIN[v[4]] then call('UNLINK', P .. 'p:' .. id) end
        call('HDEL', key, 'f')
      end
      if result then
        call('HSET', key, 's', '4', 'p', '', 'o', '', 'e', now_text, 'y', result)
      else
        call('HSET', key, 's', '4', 'p', '', 'o', '', 'e', now_text)
      end
      local ids = gone[v[1]]
      if ids then ids[#ids + 1] = id else gone[v[1]] = { id } end
      local q = (v[5] or '0') .. 'n'
      moved[q] = (moved[q] or 0) - 1
      if v[6] then tombs[#tombs + 1] = id else kept[#kept + 1] = id end
      call('PUBLISH', channel .. id, '')
    end
    for holder, ids in pairs(gone) do call('SREM', P .. 's:' .. string.sub(holder, 2), unpack(ids)) end
    if kept[1] then
      local minute = string.format('%.0f', math.floor((now + 86400000000) / 60000000))
      if call('RPUSH', P .. 'f:' .. minute, unpack(kept)) == #kept then call('ZADD', P .. 'f', minute, minute) end
      call('HINCRBY', P .. 'c', 'done', #kept)
    end
    --#paste tombs
  end

  local claimed = { now_text }
  if asked then
    local flat, lines, names, line_of, named = {}, {}, {}, {}, {}
    call('HSET', P .. 'h:' .. session, 'o', nonce)
    if taken > 0 then
      first_token = math.max((tonumber(call('GET', P .. 'k') or nil) or 0) + 1, now)
      local token, mark = first_token - 1, '@' .. session
      for i = 1, taken do
        local v, queue = take_records[i], take_queues[i]
        token = token + 1
        if token == now then
          call('HSET', take_keys[i], 's', mark, 'k', now_text, 'o', nonce)
        else
          call('HSET', take_keys[i], 's', mark, 'k', token, 'o', nonce, 'b', token - now)
        end
        if not line_of[queue] then
          lines[#lines + 1] = { queue, '0' }
          line_of[queue] = #lines
        end
        local name = v[3]
        if not named[name] then
          named[name] = true
          names[#names + 1] = name
          names[#names + 1] = string.byte(name) == 61 and string.sub(name, 2) or call('HGET', P .. 'nt', name) or ''
        end
        local m = 7 * i
        flat[m - 6], flat[m - 5], flat[m - 4], flat[m - 3] = take_ids[i], line_of[queue], name, v[4]
        flat[m - 2], flat[m - 1], flat[m] = v[5], v[6], false
      end
      call('SADD', P .. 's:' .. session, unpack(take_ids))
      call('SET', P .. 'k', string.format('%.0f', token))
    end
    for _, item in ipairs(spent_lines) do
      local used, queue, bare = item[2], item[3], item[4]
      if used > 0 then
        local q = queue == 'celery' and '0' or call('HGET', P .. 'qn', queue) or '=' .. queue
        moved[q .. 'r'] = (moved[q .. 'r'] or 0) - used
        moved[q .. 'n'] = (moved[q .. 'n'] or 0) + used
      end
      if bare then call('DEL', P .. 'b:' .. queue) end
    end
    claimed = { now_text, next_due, first_token and string.format('%.0f', first_token) or false, flat, lines, names, {} }
  end
  for field, by in pairs(moved) do
    if by ~= 0 then call('HINCRBY', P .. 'n', field, by) end
  end
  answer = claimed
until true
