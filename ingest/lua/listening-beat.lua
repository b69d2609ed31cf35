--[[
  Notes that ingest is listening now. Several ingests may beat at the same moment, and none of them may
  take back what another has noted, or hide a gap: so reading and writing are one step.

  A beat that is further than the longest gap from the newest one begins a new spell, to either side: before
  it, because the clock was set back (or another ingest's is wrong) and nothing is known of the time between.

  KEYS  1 listening (hash: since, last)
  ARGV  1 now, 2 the longest gap; both in milliseconds
  Output  nothing
]]
local held = redis.call('HMGET', KEYS[1], 'since', 'last')
local last = held[1] and tonumber(held[2])
local now = tonumber(ARGV[1])
if not last or math.abs(now - last) > tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'since', ARGV[1], 'last', ARGV[1])
elseif now > last then
  redis.call('HSET', KEYS[1], 'last', ARGV[1])
end
