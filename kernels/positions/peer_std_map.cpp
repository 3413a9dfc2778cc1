// Positions in C++ as it is often done: shards of std::unordered_map, each behind a std::mutex.
//
// The same rules, checks and output as kernels/positions; the arithmetic is that of _rules.py.

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace {

constexpr std::size_t kShards = 16;
constexpr std::int64_t kMostPrice = (std::int64_t{1} << 30) - 1;
constexpr std::int64_t kMostSize = (std::int64_t{1} << 24) - 1;
constexpr std::int64_t kMostQuantity = (std::int64_t{1} << 31) - 1;
constexpr std::int64_t kMostProfit = std::int64_t{1} << 62;

enum Reason { kAccepted, kBadAction, kBadAccount, kBadSymbol, kBadPrice, kBadSize, kPositionFull, kProfitFull };

struct Held {
  std::int64_t quantity = 0;
  std::int64_t cost = 0;
  std::int64_t realised = 0;
};

struct alignas(64) Shard {
  std::mutex lock;
  std::unordered_map<std::uint64_t, Held> held;
  std::array<std::int64_t, 8> bad{};
};

struct Positions {
  std::array<Shard, kShards> shards;
  std::vector<std::int64_t> marks;
  std::int64_t accounts;
  std::int64_t symbols;
};

std::int64_t part_of_cost(std::int64_t cost, std::int64_t size, std::int64_t held) {
  const auto whole = static_cast<std::uint64_t>(cost), part = static_cast<std::uint64_t>(size);
  const auto all = static_cast<std::uint64_t>(held);
  const std::uint64_t average = whole / all;
  return static_cast<std::int64_t>(average * part + (whole - average * all) * part / all);
}

Reason fill(Held& held, bool sell, std::int64_t price, std::int64_t size) {
  const std::int64_t change = sell ? -size : size;
  const std::int64_t wanted = held.quantity + change;
  if (wanted > kMostQuantity || wanted < -kMostQuantity) return kPositionFull;
  if (held.quantity == 0 || (held.quantity > 0) == (change > 0)) {
    held.quantity = wanted;
    held.cost += price * size;
    return kAccepted;
  }
  const std::int64_t before = held.quantity > 0 ? held.quantity : -held.quantity;
  const std::int64_t closing = size < before ? size : before;
  const std::int64_t taken = size >= before ? held.cost : part_of_cost(held.cost, size, before);
  const std::int64_t gain = closing * price - taken;
  const std::int64_t booked = held.realised + (held.quantity > 0 ? gain : -gain);
  if (booked > kMostProfit || booked < -kMostProfit) return kProfitFull;
  held = {wanted, held.cost - taken + (size - closing) * price, booked};
  return kAccepted;
}

Reason why_bad(const Positions& all, std::int64_t account, std::int64_t symbol, int action, std::int64_t price,
               std::int64_t size) {
  if (action > 2) return kBadAction;
  if (action != 2 && (account < 0 || account >= all.accounts)) return kBadAccount;
  if (symbol < 0 || symbol >= all.symbols) return kBadSymbol;
  if (price < 1 || price > kMostPrice) return kBadPrice;
  if (action != 2 && (size < 1 || size > kMostSize)) return kBadSize;
  return kAccepted;
}

}  // namespace

extern "C" {

Positions* positions_new(std::int64_t accounts, std::int64_t symbols, std::size_t room) {
  auto* all = new Positions{};
  all->accounts = accounts;
  all->symbols = symbols;
  all->marks.assign(static_cast<std::size_t>(symbols), 0);
  for (auto& shard : all->shards) shard.held.reserve(room / kShards + 1);
  return all;
}

void positions_free(Positions* all) { delete all; }

void positions_reset(Positions* all) {
  for (auto& shard : all->shards) {
    shard.held.clear();
    shard.bad.fill(0);
  }
  all->marks.assign(all->marks.size(), 0);
}

void positions_bad(const Positions* all, std::int64_t* counts) {
  for (std::size_t reason = 0; reason < 8; ++reason) {
    counts[reason] = 0;
    for (const auto& shard : all->shards) counts[reason] += shard.bad[reason];
  }
}

void positions_replay(Positions* all, const std::int32_t* account, const std::int32_t* symbol,
                      const std::int32_t* price, const std::int32_t* size, const std::uint8_t* action, Held* out,
                      std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    out[i] = {};
    Shard& shard = all->shards[static_cast<std::uint32_t>(account[i]) % kShards];
    const std::lock_guard<std::mutex> guard(shard.lock);
    Reason reason = why_bad(*all, account[i], symbol[i], action[i], price[i], size[i]);
    if (reason == kAccepted && action[i] == 2) {
      __atomic_store_n(&all->marks[static_cast<std::size_t>(symbol[i])], price[i], __ATOMIC_RELAXED);
    } else if (reason == kAccepted) {
      const auto key = static_cast<std::uint64_t>(account[i]) << 16 | static_cast<std::uint64_t>(symbol[i]);
      Held& held = shard.held[key];
      reason = fill(held, action[i] == 1, price[i], size[i]);
      if (reason == kAccepted) out[i] = held;
    }
    if (reason != kAccepted) ++shard.bad[reason];
  }
}
}
