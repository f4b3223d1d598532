"""Lua scripts that Redis runs as one step each, so that no other client's commands come between.

Keys: ``members`` (sorted set: owner -> end of its heartbeat), ``since`` (time from which on leases
have been kept without a break), ``answers`` (hash: owner -> its last answer), and for each account
``lease:`` ("<fence> <owner>", which expires) and ``fence:`` (the last fencing number).

Times are milliseconds of Redis' own clock; or, in a virtual session, of simulated time, which the
owner sends. There a lease ends with its owner's heartbeat, since both are renewed together. An
owner that recovers from its journal may repeat earlier calls: a call for the time of its last one
gets the same answer; a call for an earlier time changes nothing, since any change would be in the
journal.
"""

from collections.abc import Iterable

#: Prefix that puts all keys into one slot of a Redis cluster.
PREFIX = "{strategy-leases}:"


def keys(prefix: str, accounts: Iterable[str]) -> list[str]:
    """Return the KEYS of the scripts."""
    names = [prefix + "members", prefix + "since", prefix + "answers"]
    for account in accounts:
        names += [f"{prefix}lease:{account}", f"{prefix}fence:{account}"]
    return names


#: Renews leases and acquires the owner's share. KEYS: members, since, answers, then lease and fence
#: of each account. ARGV: owner, ttl in ms, the simulated time in ms (empty: use Redis' clock), the
#: lifetime of keys in ms of Redis' clock in that case, and for each account the fencing number by
#: which the owner holds it (0: it does not), and the largest number that it has seen. Returns the
#: position of an account that is to be given back (0: none), then for each account the fencing
#: number by which the owner holds it now.
SYNC = """
local owner, ttl, simulated = ARGV[1], tonumber(ARGV[2]), ARGV[3] ~= ''
local function text(number) return string.format('%.0f', number) end
local accounts = (#KEYS - 3) / 2
local now, lifetime
if simulated then
  now, lifetime = tonumber(ARGV[3]), tonumber(ARGV[4])
  local previous_at, stored = nil, redis.call('HGET', KEYS[3], owner)
  local previous = {}
  for number in string.gmatch(stored or '', '%d+') do previous[#previous + 1] = tonumber(number) end
  previous_at = table.remove(previous, 1)
  if previous_at and now == previous_at then return previous end
  if previous_at and now < previous_at then
    previous = {0}
    for i = 1, accounts do previous[i + 1] = tonumber(ARGV[2 * i + 3]) end
    return previous
  end
else
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  lifetime = ttl
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(now))
redis.call('ZADD', KEYS[1], text(now + ttl), owner)
redis.call('PEXPIRE', KEYS[1], text(lifetime))
local since = math.min(tonumber(redis.call('GET', KEYS[2]) or now), now)
redis.call('SET', KEYS[2], text(since), 'PX', text(lifetime))

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
  if simulated then redis.call('PEXPIRE', KEYS[2 * i + 3], text(lifetime)) end
  redis.call('SET', KEYS[2 * i + 2], text(fence) .. ' ' .. owner, 'PX', text(lifetime))
  fences[i] = fence
  held[owner] = held[owner] + 1
end

local free = {}
for i = 1, accounts do
  fences[i] = 0
  local claimed, fence, holder = ARGV[2 * i + 3], nil, nil
  local value = redis.call('GET', KEYS[2 * i + 2])
  if value then fence, holder = string.match(value, '^(%d+) (.+)$') end
  if simulated and not held[holder or ''] then fence, holder = nil, nil end
  if holder and holder ~= owner then
    if held[holder] then held[holder] = held[holder] + 1 end
  elseif claimed ~= '0' and fence == claimed then
    redis.call('PEXPIRE', KEYS[2 * i + 2], text(lifetime))
    fences[i] = tonumber(fence)
    held[owner] = held[owner] + 1
  elseif claimed ~= '0' then
    acquire(i)
  else
    redis.call('DEL', KEYS[2 * i + 2])
    free[#free + 1] = i
  end
end

local least, most = math.floor(accounts / members), math.ceil(accounts / members)
local shortfall = 0
for member, count in pairs(held) do
  if member ~= owner then shortfall = shortfall + math.max(0, least - count) end
end
local remaining = #free
if now - since >= ttl then
  for _, i in ipairs(free) do
    if held[owner] < least or (held[owner] < most and remaining > shortfall) then
      acquire(i)
      remaining = remaining - 1
    end
  end
end

local gives_back = held[owner] > most
if not gives_back and held[owner] > least and shortfall > remaining then
  gives_back = true
  for member, count in pairs(held) do
    if count > held[owner] or (count == held[owner] and member > owner) then gives_back = false end
  end
end
local answer = {0}
for i = 1, accounts do
  answer[i + 1] = fences[i]
  if gives_back and fences[i] > 0 then answer[1] = i end
end
if simulated then
  local record = text(now)
  for i = 1, accounts + 1 do record = record .. ' ' .. text(answer[i]) end
  redis.call('HSET', KEYS[3], owner, record)
  redis.call('PEXPIRE', KEYS[3], text(lifetime))
end
return answer
"""

#: Gives back all leases of an owner at once. KEYS as above. ARGV: owner.
RELEASE = """
redis.call('ZREM', KEYS[1], ARGV[1])
for i = 4, #KEYS, 2 do
  local value = redis.call('GET', KEYS[i])
  if value and string.match(value, '^%d+ (.+)$') == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
"""
