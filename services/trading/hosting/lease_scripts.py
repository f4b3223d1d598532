"""What Redis does in one step for a lease: Lua, so that nobody else comes in between.

Keys: ``members`` (sorted set: owner -> when its heartbeat ends), ``since`` (when leases began to be
kept without a break), ``answers`` (hash: owner -> its last answer), and for each account ``lease:``
("<fence> <owner>", ends by itself) and ``fence:`` (the last number, kept for good).

Times are milliseconds of Redis' own clock; or, in a virtual session, of simulated time, which the
owner gives. Then a lease ends with its owner's heartbeat, for the two are renewed together; and who
comes back from its journal may ask again what it has asked before: the last question gets the same
answer, and at an earlier moment nothing had changed, or it would be in the journal.
"""

from collections.abc import Iterable

#: One slot of a cluster for all keys.
PREFIX = "{strategy-leases}:"


def keys(prefix: str, accounts: Iterable[str]) -> list[str]:
    """Return what the scripts get as KEYS."""
    found = [prefix + "members", prefix + "since", prefix + "answers"]
    for account in accounts:
        found += [f"{prefix}lease:{account}", f"{prefix}fence:{account}"]
    return found


#: KEYS: members, since, answers, then lease and fence of each account. ARGV: owner, ttl in ms, the
#: simulated time in ms (empty: by Redis' clock), for how many ms of Redis' clock keys are kept
#: then, and for each account the number by which the owner holds it (0: it does not), and the
#: largest that it knows. Returns the position of an account that is to be given back (0: none),
#: then for each account the number by which the owner holds it now.
SYNC = """
local owner, ttl, simulated = ARGV[1], tonumber(ARGV[2]), ARGV[3] ~= ''
local function text(number) return string.format('%.0f', number) end
local accounts = (#KEYS - 3) / 2
local now, keep
if simulated then
  now, keep = tonumber(ARGV[3]), tonumber(ARGV[4])
  local asked_at, before = nil, redis.call('HGET', KEYS[3], owner)
  local known = {}
  for number in string.gmatch(before or '', '%d+') do known[#known + 1] = tonumber(number) end
  asked_at = table.remove(known, 1)
  if asked_at and now == asked_at then return known end
  if asked_at and now < asked_at then
    known = {0}
    for i = 1, accounts do known[i + 1] = tonumber(ARGV[2 * i + 3]) end
    return known
  end
else
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  keep = ttl
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(now))
redis.call('ZADD', KEYS[1], text(now + ttl), owner)
redis.call('PEXPIRE', KEYS[1], text(keep))
local since = math.min(tonumber(redis.call('GET', KEYS[2]) or now), now)
redis.call('SET', KEYS[2], text(since), 'PX', text(keep))

local held, members = {}, 0
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  held[member] = 0
  members = members + 1
end

local fences = {}
local function acquire(i)
  local last = tonumber(redis.call('GET', KEYS[2 * i + 3]) or 0)
  local fence = math.max(now, last + 1, tonumber(ARGV[2 * i + 4]) + 1)
  redis.call('SET', KEYS[2 * i + 3], text(fence))
  if simulated then redis.call('PEXPIRE', KEYS[2 * i + 3], text(keep)) end
  redis.call('SET', KEYS[2 * i + 2], text(fence) .. ' ' .. owner, 'PX', text(keep))
  fences[i] = fence
  held[owner] = held[owner] + 1
end

local free = {}
for i = 1, accounts do
  fences[i] = 0
  local asked, fence, holder = ARGV[2 * i + 3], nil, nil
  local value = redis.call('GET', KEYS[2 * i + 2])
  if value then fence, holder = string.match(value, '^(%d+) (.+)$') end
  if simulated and not held[holder or ''] then fence, holder = nil, nil end
  if holder and holder ~= owner then
    if held[holder] then held[holder] = held[holder] + 1 end
  elseif asked ~= '0' and fence == asked then
    redis.call('PEXPIRE', KEYS[2 * i + 2], text(keep))
    fences[i] = tonumber(fence)
    held[owner] = held[owner] + 1
  elseif asked ~= '0' then
    acquire(i)
  else
    redis.call('DEL', KEYS[2 * i + 2])
    free[#free + 1] = i
  end
end

local least, most = math.floor(accounts / members), math.ceil(accounts / members)
local wanted = 0
for member, count in pairs(held) do
  if member ~= owner then wanted = wanted + math.max(0, least - count) end
end
local left = #free
if now - since >= ttl then
  for _, i in ipairs(free) do
    if held[owner] < least or (held[owner] < most and left > wanted) then
      acquire(i)
      left = left - 1
    end
  end
end

local gives = held[owner] > most
if not gives and held[owner] > least and wanted > left then
  gives = true
  for member, count in pairs(held) do
    if count > held[owner] or (count == held[owner] and member > owner) then gives = false end
  end
end
local answer = {0}
for i = 1, accounts do
  answer[i + 1] = fences[i]
  if gives and fences[i] > 0 then answer[1] = i end
end
if simulated then
  local kept = text(now)
  for i = 1, accounts + 1 do kept = kept .. ' ' .. text(answer[i]) end
  redis.call('HSET', KEYS[3], owner, kept)
  redis.call('PEXPIRE', KEYS[3], text(keep))
end
return answer
"""

#: KEYS as above, ARGV: owner. All that it holds is free at once.
RELEASE = """
redis.call('ZREM', KEYS[1], ARGV[1])
for i = 4, #KEYS, 2 do
  local value = redis.call('GET', KEYS[i])
  if value and string.match(value, '^%d+ (.+)$') == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
"""
