-- Records that shrank to a tombstone: `tombs` are listed, and when there are too many the oldest go.
if tombs[1] then
  local over = call('RPUSH', P .. 'ts', unpack(tombs)) - 524288
  if over > 0 then
    for _, id in ipairs(call('LPOP', P .. 'ts', math.min(over, 1000))) do
      local v = call('HMGET', P .. 't:' .. id, 's', 't', 'i')
      if not v[3] and v[2] == '0' and (v[1] == '4' or v[1] == '6') then call('UNLINK', P .. 't:' .. id) end
    end
  end
end
