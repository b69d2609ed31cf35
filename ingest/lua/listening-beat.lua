--[[
  Notes that ingest is listening now. Several ingests may beat at the same moment, and none of them may
  take back what another has noted, or hide a gap: so reading and writing are one step.

  A beat that is further than the longest gap from the newest one begins a new spell, to either side: before
  it, because the clock was set back (or another ingest's is wrong) and nothing is known of the time between.

  So does a beat of an ingest that turned reports away: whatever others heard, it lost what was said to it. By the
  later of both clocks, as it must not make the spell any longer.

  KEYS  1 listening (hash: since, last)
  ARGV  1 now, 2 the longest gap; both in milliseconds; 3 "1" if reports were turned away, else "0"
  Output  nothing
]]
local held = redis.call('HMGET', KEYS[1], 'since', 'last')
local last = held[1] and tonumber(held[2])
local now = tonumber(ARGV[1])
if not last or math.abs(now - last) > tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'since', ARGV[1], 'last', ARGV[1])
elseif ARGV[3] == '1' then
  local at = now > last and ARGV[1] or held[2]
  redis.call('HSET', KEYS[1], 'since', at, 'last', at)
elseif now > last then
  redis.call('HSET', KEYS[1], 'last', ARGV[1])
end
