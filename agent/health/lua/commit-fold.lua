--[[
  Commits one folded batch of a shard: device states, counts, release table, dead letters and the
  cursor, all or nothing. It must be atomic because a count without its device state (or the other way
  round) would be counted again after a crash; it fails when the cursor is not where the fold started,
  because then another agent has folded these entries, and when releases have retired since the table was
  read, because then a count could go to a number that no row names.

  KEYS  1 meta (hash)   2 reports (stream)   3 release table (hash)   4 dirty releases (hash)
        5 dead letters (stream)   then one key per bucket of devices, then per release: totals, windows
  ARGV  expected cursor, new cursor, first id to keep, reports folded, dead-letter entries to keep at most,
        expected number of retired releases
        n, n x (release text, number)                               new rows of the release table
        n, n x (k, k x (field, state))                              one group per bucket key
        n, n x (release text, first ms, last ms, last failure ms,
                k, k x (field, difference)                          totals
                k, k x (field, difference))                         windows
        n, n x (reason, payload)                                    dead letters
  Output  1 committed   0 the cursor has moved, or releases retired: nothing was written
]]
local meta, stream, releaseTable, dirty, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local nextKey, nextArg = 6, 7
local function takeKey()
  nextKey = nextKey + 1
  return KEYS[nextKey - 1]
end
local function take()
  nextArg = nextArg + 1
  return ARGV[nextArg - 1]
end

if (redis.call('HGET', meta, 'cursor') or '0-0') ~= ARGV[1] then return 0 end
if (redis.call('HGET', meta, 'retired') or '0') ~= ARGV[6] then return 0 end
local newCursor = ARGV[2]

for _ = 1, tonumber(take()) do
  local releaseText = take()
  redis.call('HSET', releaseTable, releaseText, take())
end

for _ = 1, tonumber(take()) do
  local bucket = takeKey()
  for _ = 1, tonumber(take()) do
    local field = take()
    redis.call('HSET', bucket, field, take())
  end
end

local function addAll(key)
  for _ = 1, tonumber(take()) do
    local field = take()
    if redis.call('HINCRBY', key, field, take()) == 0 then redis.call('HDEL', key, field) end
  end
end
local function keepNewest(key, field, value)
  local held = redis.call('HGET', key, field)
  if tonumber(value) > tonumber(held or '0') then redis.call('HSET', key, field, value) end
end

for _ = 1, tonumber(take()) do
  local totals, windows = takeKey(), takeKey()
  redis.call('HSET', dirty, take(), newCursor)
  local first = take()
  local held = redis.call('HGET', totals, 'first')
  if not held or tonumber(first) < tonumber(held) then redis.call('HSET', totals, 'first', first) end
  keepNewest(totals, 'last', take())
  keepNewest(totals, 'failure', take())
  addAll(totals)
  addAll(windows)
end

for _ = 1, tonumber(take()) do
  local reason = take()
  redis.call('XADD', dead, '*', 'reason', reason, 'payload', take())
  redis.call('HINCRBY', meta, 'dead', 1)
end
local dropped = redis.call('XTRIM', dead, 'MAXLEN', '~', ARGV[5])
if dropped > 0 then redis.call('HINCRBY', meta, 'dead_dropped', dropped) end

redis.call('HSET', meta, 'cursor', newCursor)
redis.call('HINCRBY', meta, 'folded', ARGV[4])
redis.call('XTRIM', stream, 'MINID', ARGV[3])
return 1
