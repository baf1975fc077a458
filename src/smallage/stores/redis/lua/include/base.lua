-- KEYS[1] is the prefix with the hash tag, so that every script runs on one slot. ARGV[1] is the test clock's instant
-- in microseconds, or empty: then it is the server's own. Numbers go into commands as they are (exact to 2^53); where
-- they become text, `int` spells them, because Lua's own spelling loses digits.
local P = KEYS[1]
local call = redis.call
local now = tonumber(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
--#const DAY 86400000000
--#const TOMB 60000000
local format = string.format
local function int(x) return format('%.0f', x) end
local now_text = int(now)

-- Arguments are read in order.
local at = 1
local function arg()
  at = at + 1
  return ARGV[at]
end
local function number() return tonumber(arg()) end
-- An optional argument: empty is nil.
local function maybe()
  local a = arg()
  if a ~= '' then return a end
end
-- A pair of arguments for bytes that may be absent: 1 and the bytes, or 0 alone.
local function bytes()
  if arg() == '1' then return arg() end
end
