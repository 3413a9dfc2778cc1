// The pre-trade check in C++ as it is often done: a struct for each account on lines of its own, behind a spin lock of
// std::atomic_flag.
//
// The same rules, their order, and the same answers as kernels/risk_check; the arithmetic is that of _rules.py.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace {

constexpr std::int64_t kMostPrice = (std::int64_t{1} << 30) - 1;
constexpr std::int64_t kMostSize = (std::int64_t{1} << 24) - 1;
constexpr std::int64_t kMostTime = (std::int64_t{1} << 62) - 1;
constexpr int kReasons = 14;

enum Reason : std::uint8_t {
  kAccepted,
  kBadAction,
  kBadAccount,
  kBadPrice,
  kBadSize,
  kBadTime,
  kKilled,
  kCollar,
  kSize,
  kPosition,
  kNotional,
  kOpenOrders,
  kRate,
  kOverRelease
};

struct Limits {
  std::int64_t size, position, notional, orders, burst_ns;
};

struct alignas(64) Account {
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  bool killed = false;
  std::int64_t position = 0;
  std::array<std::int64_t, 2> open{};  // shares of open buys, of open sells
  std::int64_t notional = 0;
  std::int64_t orders = 0;
  std::int64_t next_ns = 0;
  Limits limits{};

  std::int64_t worst(int side) const { return side == 0 ? position + open[0] : open[1] - position; }
};

void wait_a_little() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class Guard {
 public:
  explicit Guard(Account& account) : account_(account) {
    while (account_.busy.test_and_set(std::memory_order_acquire)) wait_a_little();
  }
  ~Guard() { account_.busy.clear(std::memory_order_release); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Account& account_;
};

struct Check {
  std::unique_ptr<Account[]> accounts;
  std::int64_t count;
  std::int64_t collar;
  std::int64_t interval_ns;
  Limits limits;
  std::atomic<bool> all_killed{false};
  std::array<std::atomic<std::int64_t>, kReasons> refused{};
};

struct Request {
  std::int64_t timestamp, price, reference, size, account;
  int action;
};

Reason why_bad(const Check& check, const Request& r) {
  if (r.account < 0 || r.account >= check.count) return kBadAccount;
  if (r.price < 1 || r.price > kMostPrice) return kBadPrice;
  if (r.size < 1 || r.size > kMostSize) return kBadSize;
  return kAccepted;
}

Reason reserve(Check& check, const Request& r) {
  if (const Reason bad = why_bad(check, r); bad != kAccepted) return bad;
  if (r.timestamp < 0 || r.timestamp > kMostTime) return kBadTime;
  Account& account = check.accounts[static_cast<std::size_t>(r.account)];
  const Limits& limits = account.limits;
  const Guard guard(account);
  if (account.killed || check.all_killed.load(std::memory_order_relaxed)) return kKilled;
  if (std::abs(r.price - r.reference) * 1024 > r.reference * check.collar) return kCollar;
  if (r.size > limits.size) return kSize;
  if (account.worst(r.action) + r.size > limits.position) return kPosition;
  const std::int64_t notional = account.notional + r.price * r.size;
  if (notional > limits.notional) return kNotional;
  if (account.orders + 1 > limits.orders) return kOpenOrders;
  const std::int64_t next_ns = std::max(account.next_ns, r.timestamp) + check.interval_ns;
  if (next_ns > r.timestamp + limits.burst_ns) return kRate;
  account.open[static_cast<std::size_t>(r.action)] += r.size;
  account.notional = notional;
  ++account.orders;
  account.next_ns = next_ns;
  return kAccepted;
}

Reason release(Check& check, const Request& r) {
  if (const Reason bad = why_bad(check, r); bad != kAccepted) return bad;
  const std::size_t side = r.action & 1;
  const bool closed = r.action & 2, filled = r.action & 4;
  const std::int64_t notional = r.price * r.size;
  Account& account = check.accounts[static_cast<std::size_t>(r.account)];
  const Guard guard(account);
  if (account.open[0] + account.open[1] < r.size || account.notional < notional || account.orders < closed)
    return kOverRelease;
  account.open[side] -= r.size;
  account.notional -= notional;
  account.orders -= closed;
  if (filled) account.position += side == 0 ? r.size : -r.size;
  return kAccepted;
}

Reason apply(Check& check, const Request& r) {
  if (r.action < 2) return reserve(check, r);
  if (r.action >= 8 && r.action < 16) return release(check, r);
  return kBadAction;
}

}  // namespace

extern "C" {

void check_reset(Check* check) {
  for (std::int64_t i = 0; i < check->count; ++i) {
    Account& account = check->accounts[static_cast<std::size_t>(i)];
    account.position = account.notional = account.orders = account.next_ns = 0;
    account.open = {};
    account.limits = check->limits;
  }
  for (auto& count : check->refused) count.store(0, std::memory_order_relaxed);
}

Check* check_new(std::int64_t accounts, std::int64_t collar, std::int64_t interval_ns, std::int64_t size,
                 std::int64_t position, std::int64_t notional, std::int64_t orders, std::int64_t burst_ns) {
  auto* check = new Check{};
  check->accounts = std::make_unique<Account[]>(static_cast<std::size_t>(accounts));
  check->count = accounts;
  check->collar = collar;
  check->interval_ns = interval_ns;
  check->limits = {size, position, notional, orders, burst_ns};
  check_reset(check);
  return check;
}

void check_free(Check* check) { delete check; }

void check_refused(const Check* check, std::int64_t* counts) {
  for (std::size_t reason = 0; reason < kReasons; ++reason) counts[reason] = check->refused[reason].load();
}

void check_replay(Check* check, const std::int64_t* timestamp, const std::int32_t* price,
                  const std::int32_t* reference, const std::int32_t* size, const std::int32_t* account,
                  const std::uint8_t* action, std::uint8_t* out, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    const Reason reason = apply(*check, {timestamp[i], price[i], reference[i], size[i], account[i], action[i]});
    if (reason != kAccepted) check->refused[reason].fetch_add(1, std::memory_order_relaxed);
    out[i] = reason;
  }
}
}
