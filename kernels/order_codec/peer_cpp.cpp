// A straightforward codec in C++: the packed big-endian form, and a plain copy of the record.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

struct Order {
    int64_t timestamp_ns, market_ns;
    uint64_t order_id, old_order_id;
    int32_t price_ticks, size;
    uint32_t account;
    uint16_t symbol;
    uint8_t side, order_type, time_in_force, action, padding[14];
};
static_assert(sizeof(Order) == 64);

struct Event {
    int64_t timestamp_ns;
    uint64_t order_id, new_order_id;
    int32_t price_ticks, size;
    uint16_t symbol;
    uint8_t kind, side, padding[4];
};
static_assert(sizeof(Event) == 40);

inline uint64_t swapped(uint64_t value) { return __builtin_bswap64(value); }
inline int64_t swapped(int64_t value) { return (int64_t)__builtin_bswap64((uint64_t)value); }
inline uint32_t swapped(uint32_t value) { return __builtin_bswap32(value); }
inline int32_t swapped(int32_t value) { return (int32_t)__builtin_bswap32((uint32_t)value); }
inline uint16_t swapped(uint16_t value) { return __builtin_bswap16(value); }
inline uint8_t swapped(uint8_t value) { return value; }

template <class T> void put(uint8_t *&at, T value) {
    value = swapped(value);
    std::memcpy(at, &value, sizeof value);
    at += sizeof value;
}

template <class T> void take(const uint8_t *&at, T &value) {
    std::memcpy(&value, at, sizeof value);
    value = swapped(value);
    at += sizeof value;
}

constexpr uint16_t order_length = 51, event_length = 37;

void encode(uint8_t *&at, const Order &o) {
    put(at, order_length), put(at, (uint8_t)'O');
    put(at, o.timestamp_ns), put(at, o.market_ns), put(at, o.order_id), put(at, o.old_order_id);
    put(at, o.price_ticks), put(at, o.size), put(at, o.account), put(at, o.symbol);
    put(at, o.side), put(at, o.order_type), put(at, o.time_in_force), put(at, o.action);
}

void encode(uint8_t *&at, const Event &e) {
    put(at, event_length), put(at, (uint8_t)'E');
    put(at, e.timestamp_ns), put(at, e.order_id), put(at, e.new_order_id);
    put(at, e.price_ticks), put(at, e.size), put(at, e.symbol), put(at, e.kind), put(at, e.side);
}

bool good(const Order &o) {
    return o.action - 1u < 3 && o.order_type - 1u < 3 && o.side <= 1 && o.time_in_force <= 3 &&
           (uint32_t)o.price_ticks < 1u << 30 && (uint32_t)o.size < 1u << 24;
}

bool good(const Event &e) { return e.kind - 1u < 10 && e.side <= 1; }

bool decode(const uint8_t *&at, Order &o) {
    uint16_t length;
    uint8_t letter;
    take(at, length), take(at, letter);
    take(at, o.timestamp_ns), take(at, o.market_ns), take(at, o.order_id), take(at, o.old_order_id);
    take(at, o.price_ticks), take(at, o.size), take(at, o.account), take(at, o.symbol);
    take(at, o.side), take(at, o.order_type), take(at, o.time_in_force), take(at, o.action);
    return length == order_length && letter == 'O' && good(o);
}

bool decode(const uint8_t *&at, Event &e) {
    uint16_t length;
    uint8_t letter;
    take(at, length), take(at, letter);
    take(at, e.timestamp_ns), take(at, e.order_id), take(at, e.new_order_id);
    take(at, e.price_ticks), take(at, e.size), take(at, e.symbol), take(at, e.kind), take(at, e.side);
    return length == event_length && letter == 'E' && good(e);
}

template <class T> size_t big_endian(const T *rows, T *out, size_t begin, size_t length, uint8_t *wire, size_t batch) {
    size_t refused = 0;
    for (size_t first = begin; first < length; first += batch) {
        size_t last = first + batch < length ? first + batch : length;
        uint8_t *end = wire;
        for (size_t i = first; i < last; i++) encode(end, rows[i]);
        const uint8_t *at = wire;
        for (size_t i = first; i < last; i++) {
            if (!decode(at, out[i])) {
                out[i] = T{};
                refused++;
            }
        }
    }
    return refused;
}

template <class T> size_t copy(const T *rows, T *out, size_t begin, size_t length, uint8_t *wire, size_t batch) {
    size_t refused = 0;
    for (size_t first = begin; first < length; first += batch) {
        size_t last = first + batch < length ? first + batch : length;
        for (size_t i = first; i < last; i++) std::memcpy(wire + (i - first) * sizeof(T), rows + i, sizeof(T));
        for (size_t i = first; i < last; i++) {
            std::memcpy(out + i, wire + (i - first) * sizeof(T), sizeof(T));
            if (!good(out[i])) {
                out[i] = T{};
                refused++;
            }
        }
    }
    return refused;
}

} // namespace

extern "C" {

size_t codec_big_endian(const void *rows, void *out, size_t begin, size_t length, size_t words, uint8_t *wire,
                        size_t batch) {
    if (words == 8) return big_endian((const Order *)rows, (Order *)out, begin, length, wire, batch);
    return big_endian((const Event *)rows, (Event *)out, begin, length, wire, batch);
}

size_t codec_copy(const void *rows, void *out, size_t begin, size_t length, size_t words, uint8_t *wire,
                  size_t batch) {
    if (words == 8) return copy((const Order *)rows, (Order *)out, begin, length, wire, batch);
    return copy((const Event *)rows, (Event *)out, begin, length, wire, batch);
}
}
