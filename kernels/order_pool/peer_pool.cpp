// The churn of orders in C++: malloc and free of the system, and boost::pool. One call does all steps.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if __has_include(<boost/pool/pool.hpp>)
#include <boost/pool/pool.hpp>
#endif

namespace {

constexpr size_t slot_bytes = 64;
constexpr uint8_t taken = 1, given = 2;

struct Malloc {
    void *take() { return std::malloc(slot_bytes); }
    void give_back(void *slot) { std::free(slot); }
};

template <class Pool>
void churn(Pool &pool, const int32_t *gives, const int32_t *takes, int64_t **held, uint8_t *out, size_t begin,
           size_t length) {
    for (size_t i = begin; i < length; i++) {
        uint8_t did = 0;
        int64_t leaving = gives[i], arriving = takes[i];
        if (leaving >= 0 && held[leaving]) {
            int64_t *slot = held[leaving];
            bool own = slot[0] == leaving;
            pool.give_back(slot);
            did = own ? given : 0;
        }
        if (arriving >= 0) {
            auto *slot = static_cast<int64_t *>(pool.take());
            held[arriving] = slot;
            if (slot) {
                slot[0] = arriving;
                did |= taken;
            }
        }
        out[i] = did;
    }
}

} // namespace

extern "C" {

void churn_malloc(void *, const int32_t *gives, const int32_t *takes, int64_t **held, uint8_t *out, size_t begin,
                  size_t length) {
    Malloc pool;
    churn(pool, gives, takes, held, out, begin, length);
}

#if __has_include(<boost/pool/pool.hpp>)

struct Boost {
    boost::pool<> pool;
    explicit Boost(size_t slots) : pool(slot_bytes, slots) {}
    void *take() { return pool.malloc(); }
    void give_back(void *slot) { pool.free(slot); }
};

void *boost_new(size_t slots) { return new Boost(slots); }
void boost_free(void *pool) { delete static_cast<Boost *>(pool); }

void churn_boost(void *pool, const int32_t *gives, const int32_t *takes, int64_t **held, uint8_t *out, size_t begin,
                 size_t length) {
    churn(*static_cast<Boost *>(pool), gives, takes, held, out, begin, length);
}

#endif
}
