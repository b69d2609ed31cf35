--[[
  Appends one entry to the journal together with what it tells of, so that the journal and the state it
  describes can never disagree: a decision is in the outbox exactly when it is in the journal.

  KEYS  1 journal (stream)   2 head (hash: seq, hash)   then one hash per operation, in the order of ARGV
  ARGV  expected head seq, this seq, entry JSON, this entry's hash
        n, n x (op, field, value)   op: `absent` = the field must not exist, or nothing is written
                                        `present` = the field must exist, or nothing is written
                                        `set` = write the field   `delete` = remove it (value is ignored)
                                        `increment` = add the value to the field
                                        `equals` = the field must hold the value (none = empty)
  Output  "appended", "head_moved" (somebody else appended: build the entry anew), or "exists",
          "missing": a field that had to be absent was there, or the reverse; "moved": a field
          that had to hold a value holds another
]]
local journal, head = KEYS[1], KEYS[2]
if (redis.call('HGET', head, 'seq') or '0') ~= ARGV[1] then return 'head_moved' end
local operations = tonumber(ARGV[5])
for index = 1, operations do
  local op, field = ARGV[3 + index * 3], ARGV[4 + index * 3]
  if op == 'absent' and redis.call('HEXISTS', KEYS[2 + index], field) == 1 then return 'exists' end
  if op == 'present' and redis.call('HEXISTS', KEYS[2 + index], field) == 0 then return 'missing' end
  if op == 'equals' and (redis.call('HGET', KEYS[2 + index], field) or '') ~= ARGV[5 + index * 3] then return 'moved' end
end
-- First: should it fail (a head that is behind the stream), nothing is written at all.
redis.call('XADD', journal, ARGV[2] .. '-0', 'entry', ARGV[3])
redis.call('HSET', head, 'seq', ARGV[2], 'hash', ARGV[4])
for index = 1, operations do
  local op, field, value = ARGV[3 + index * 3], ARGV[4 + index * 3], ARGV[5 + index * 3]
  if op == 'set' then redis.call('HSET', KEYS[2 + index], field, value) end
  if op == 'delete' then redis.call('HDEL', KEYS[2 + index], field) end
  if op == 'increment' then redis.call('HINCRBY', KEYS[2 + index], field, value) end
end
return 'appended'
