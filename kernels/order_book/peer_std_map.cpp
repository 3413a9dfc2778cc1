// The textbook order book in C++: std::map for the levels of a side, std::unordered_map for the orders by id.
// Reads kernels.messages.EVENT and writes kernels.messages.BEST, with the checks of bad events in the order of Bad.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

namespace {

enum Kind : uint8_t { ADD = 1, CANCEL, DELETE, EXECUTE, TRADE, REPLACE, MODIFY, HALT, RESUME, CLEAR };
enum Bad { KIND, SYMBOL, SIDE, PRICE, SIZE, UNKNOWN_ID, DUPLICATE_ID, OVER_SIZE, LEVEL_FULL, BAD_KINDS };

constexpr int32_t MAX_PRICE = (1 << 30) - 1;
constexpr int32_t MAX_ORDER = (1 << 24) - 1;
constexpr int64_t MAX_LEVEL = INT32_MAX;

struct Event {
  int64_t timestamp_ns;
  uint64_t order_id, new_order_id;
  int32_t price, size;
  uint16_t symbol;
  uint8_t kind, side;
};
static_assert(sizeof(Event) == 40 && offsetof(Event, side) == 35, "the layout of kernels.messages.EVENT");

struct Best {
  int32_t bid_price, bid_size, ask_price, ask_size;
};

struct Order {
  int32_t price, size;
  uint16_t symbol;
  uint8_t side;
};

struct Symbol {
  std::map<int32_t, int64_t, std::greater<int32_t>> bids;
  std::map<int32_t, int64_t> asks;
  bool halted = false;
};

struct Book {
  std::vector<Symbol> symbols;
  std::unordered_map<uint64_t, Order> orders;
  int64_t bad[BAD_KINDS] = {};

  explicit Book(size_t n) : symbols(n) {}
};

// Both sides of a symbol are maps that begin with their best level; they differ in the type of their order only.
template <class Map>
int64_t level_size(const Map& levels, int32_t price) {
  auto found = levels.find(price);
  return found == levels.end() ? 0 : found->second;
}

template <class Map>
void reduce(Map& levels, int32_t price, int32_t size) {
  auto found = levels.find(price);
  if ((found->second -= size) == 0) levels.erase(found);
}

int64_t level_size(const Symbol& symbol, int side, int32_t price) {
  return side == 0 ? level_size(symbol.bids, price) : level_size(symbol.asks, price);
}

void reduce(Symbol& symbol, int side, int32_t price, int32_t size) {
  side == 0 ? reduce(symbol.bids, price, size) : reduce(symbol.asks, price, size);
}

// Adds to a level unless its sum would be too large.
template <class Map>
bool increase(Map& levels, int32_t price, int32_t size) {
  int64_t& total = levels[price];
  if (total + size > MAX_LEVEL) return false;  // then the level was not empty: no level was made for nothing
  total += size;
  return true;
}

bool increase(Symbol& symbol, int side, int32_t price, int32_t size) {
  return side == 0 ? increase(symbol.bids, price, size) : increase(symbol.asks, price, size);
}

bool price_fits(const Event& event) { return event.price >= 1 && event.price <= MAX_PRICE; }
bool size_fits(const Event& event) { return event.size >= 1 && event.size <= MAX_ORDER; }

int add(Book& book, Symbol& symbol, const Event& event) {
  if (event.side > 1) return SIDE;
  if (!price_fits(event)) return PRICE;
  if (!size_fits(event)) return SIZE;
  if (event.order_id == 0) return DUPLICATE_ID;
  auto [place, fresh] = book.orders.try_emplace(event.order_id, Order{event.price, event.size, event.symbol, event.side});
  if (!fresh) return DUPLICATE_ID;
  if (!increase(symbol, event.side, event.price, event.size)) {
    book.orders.erase(place);
    return LEVEL_FULL;
  }
  return -1;
}

int take(Book& book, Symbol& symbol, const Event& event) {
  if (event.kind != DELETE && !size_fits(event)) return SIZE;
  auto found = book.orders.find(event.order_id);
  if (found == book.orders.end() || found->second.symbol != event.symbol) return UNKNOWN_ID;
  Order& order = found->second;
  int32_t size = event.kind == DELETE ? order.size : event.size;
  if (size > order.size) return OVER_SIZE;
  reduce(symbol, order.side, order.price, size);
  if ((order.size -= size) == 0) book.orders.erase(found);
  return -1;
}

int reprice(Book& book, Symbol& symbol, const Event& event) {
  if (!price_fits(event)) return PRICE;
  if (!size_fits(event)) return SIZE;
  auto found = book.orders.find(event.order_id);
  if (found == book.orders.end() || found->second.symbol != event.symbol) return UNKNOWN_ID;
  if (event.kind == REPLACE && (event.new_order_id == 0 || book.orders.count(event.new_order_id))) return DUPLICATE_ID;
  Order order = found->second;
  int64_t stays = order.price == event.price ? order.size : 0;
  if (level_size(symbol, order.side, event.price) - stays + event.size > MAX_LEVEL) return LEVEL_FULL;
  reduce(symbol, order.side, order.price, order.size);
  increase(symbol, order.side, event.price, event.size);
  order.price = event.price;
  order.size = event.size;
  if (event.kind == REPLACE) {
    book.orders.erase(found);
    book.orders.emplace(event.new_order_id, order);
  } else {
    found->second = order;
  }
  return -1;
}

int clear(Book& book, Symbol& symbol, const Event& event) {
  symbol.bids.clear();
  symbol.asks.clear();
  for (auto order = book.orders.begin(); order != book.orders.end();)
    order = order->second.symbol == event.symbol ? book.orders.erase(order) : std::next(order);
  return -1;
}

int apply(Book& book, const Event& event) {
  if (event.kind < ADD || event.kind > CLEAR) return KIND;
  if (event.symbol >= book.symbols.size()) return SYMBOL;
  Symbol& symbol = book.symbols[event.symbol];
  switch (event.kind) {
    case ADD: return add(book, symbol, event);
    case CANCEL: case DELETE: case EXECUTE: return take(book, symbol, event);
    case REPLACE: case MODIFY: return reprice(book, symbol, event);
    case HALT: case RESUME: symbol.halted = event.kind == HALT; return -1;
    case CLEAR: return clear(book, symbol, event);
    default: return -1;  // a TRADE touches no visible order
  }
}

Best best_of(const Book& book, size_t number) {
  Best best{};
  if (number >= book.symbols.size()) return best;
  const Symbol& symbol = book.symbols[number];
  if (!symbol.bids.empty()) {
    best.bid_price = symbol.bids.begin()->first;
    best.bid_size = static_cast<int32_t>(symbol.bids.begin()->second);
  }
  if (!symbol.asks.empty()) {
    best.ask_price = symbol.asks.begin()->first;
    best.ask_size = static_cast<int32_t>(symbol.asks.begin()->second);
  }
  return best;
}

}  // namespace

extern "C" {

Book* book_new(size_t symbols, size_t orders) {
  Book* book = new Book(symbols);
  book->orders.reserve(orders);
  return book;
}

void book_free(Book* book) { delete book; }

void book_reset(Book* book) {
  book->orders.clear();
  for (Symbol& symbol : book->symbols) symbol = Symbol{};
  for (int64_t& count : book->bad) count = 0;
}

const int64_t* book_bad(const Book* book) { return book->bad; }

void book_replay(Book* book, const Event* events, Best* out, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    int bad = apply(*book, events[i]);
    if (bad >= 0) ++book->bad[bad];
    out[i] = best_of(*book, events[i].symbol);
  }
}
}
