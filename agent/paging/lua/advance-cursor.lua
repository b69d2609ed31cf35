--[[
  Moves a reader's place in the journal forward, never back, and ends what it had begun to tell of up to there. Atomic,
  because another agent may have gone further in the meantime, and neither its place nor what it has begun may be lost.

  KEYS  1 cursors (hash)
  ARGV  name of the reader, seq of the last entry that is done
  Output  the seq that stands now
]]
local at = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
local done = math.max(at, tonumber(ARGV[2]))
if done > at then redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', done)) end
local begun = redis.call('HGET', KEYS[1], ARGV[1] .. ':begun')
if begun and cjson.decode(begun).seq <= done then redis.call('HDEL', KEYS[1], ARGV[1] .. ':begun') end
return done
