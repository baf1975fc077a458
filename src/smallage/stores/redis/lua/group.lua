-- A group's counters. In: raw id. Key: g:<id>. Answer: nil or {total, done, failed, cancelled, running, retried, seq,
-- opened, ended, sealed, revoked, body}.
--#include groups
local G = living(arg())
if not G then return false end
return { int(G.T), int(G.D), int(G.F), int(G.C), int(G.R), int(G.Y), int(G.S), int(G.a), int(G.e), G.z or false,
  G.v or false, G.b or false }
