// Queues of others in C++, driven as ours are: the roles and the waiting of _replay.py and _ring.py, without a probe.
//
// With WITH_BOOST, boost::lockfree::spsc_queue, its capacity known at compile time where it is 1,024; else a std::deque
// behind a std::mutex, bounded as a ring is. A queue has records of one size, 8 or 64 bytes, which is known at compile
// time too.

#include <immintrin.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#ifdef WITH_BOOST
#include <boost/lockfree/spsc_queue.hpp>
#else
#include <deque>
#include <mutex>
#endif

namespace {

enum Role { ALONE, ALONE_TRIP, PRODUCER, CONSUMER, CALLER, ECHO };

constexpr int PATIENCE = 8192;
constexpr int SOON = 1, LATER = 8;
constexpr int NAP_US = 20;
constexpr std::size_t USUAL_SLOTS = 1024;

template <int WORDS> struct Record { int64_t words[WORDS]; };

void wait(int turn, int pauses) {
    if (turn * pauses < PATIENCE)
        for (int i = 0; i < pauses; i++) _mm_pause();
    else
        usleep(NAP_US);
}

#ifdef WITH_BOOST
namespace lockfree = boost::lockfree;

template <typename T, typename Queue> class BoostRing {
    Queue queue;
public:
    template <typename... Size> explicit BoostRing(Size... size) : queue(size...) {}
    bool push(const T &item) { return queue.push(item); }
    bool pop(T &item) { return queue.pop(item); }
    void clear() { queue.reset(); }
};

template <typename T> struct Ring : BoostRing<T, lockfree::spsc_queue<T>> {
    explicit Ring(std::size_t slots) : BoostRing<T, lockfree::spsc_queue<T>>(slots) {}
};

template <typename T>
struct UsualRing : BoostRing<T, lockfree::spsc_queue<T, lockfree::capacity<USUAL_SLOTS>>> {
    explicit UsualRing(std::size_t) {}
};
#else
template <typename T> class Ring {
    std::mutex mutex;
    std::deque<T> queue;
    const std::size_t slots;
public:
    explicit Ring(std::size_t slots) : slots(slots) {}
    bool push(const T &item) {
        std::lock_guard<std::mutex> guard(mutex);
        if (queue.size() == slots) return false;
        queue.push_back(item);
        return true;
    }
    bool pop(T &item) {
        std::lock_guard<std::mutex> guard(mutex);
        if (queue.empty()) return false;
        item = queue.front();
        queue.pop_front();
        return true;
    }
    void clear() { queue.clear(); }
};
template <typename T> using UsualRing = Ring<T>;
#endif

struct Peer {
    virtual ~Peer() = default;
    virtual void clear() = 0;
    virtual void run(Role role, const int64_t *records, int64_t *out, int64_t n, int64_t total, int64_t batch) = 0;
};

template <template <typename> class Queue, int WORDS> class PeerOf : public Peer {
    using Item = Record<WORDS>;
    Queue<Item> there, back;
    const std::size_t slots;

    static void put(Queue<Item> &queue, const Item &item, int pauses) {
        for (int turn = 0; !queue.push(item); turn++) wait(turn, pauses);
    }
    static void get(Queue<Item> &queue, Item &item, int pauses) {
        for (int turn = 0; !queue.pop(item); turn++) wait(turn, pauses);
    }

public:
    explicit PeerOf(std::size_t slots) : there(slots), back(slots), slots(slots) {}

    void clear() override {
        there.clear();
        back.clear();
    }

    void run(Role role, const int64_t *words, int64_t *out_words, int64_t n, int64_t total, int64_t batch) override {
        const Item *records = reinterpret_cast<const Item *>(words);
        Item *out = reinterpret_cast<Item *>(out_words);
        batch = std::min<int64_t>(batch, slots);
        switch (role) {
        case ALONE:
            for (int64_t sent = 0; sent < total;) {
                const int64_t at = sent % n, end = std::min(std::min(at + batch, n), at + total - sent);
                for (int64_t i = at; i < end; i++) there.push(records[i]);
                for (int64_t i = at; i < end; i++) there.pop(out[i]);
                sent += end - at;
            }
            break;
        case PRODUCER:
            for (int64_t sent = 0; sent < total;)
                for (int64_t i = 0; i < n && sent < total; i++, sent++) put(there, records[i], LATER);
            break;
        case CONSUMER:
            for (int64_t got = 0; got < total;)
                for (int64_t i = 0; i < n && got < total; i++, got++) get(there, out[i], LATER);
            break;
        case ECHO:
            for (int64_t i = 0; i < total; i++) {
                get(there, out[0], SOON);
                put(back, out[0], SOON);
            }
            break;
        default:
            for (int64_t sent = 0; sent < total; sent++) {
                const int64_t at = sent % n;
                put(there, records[at], SOON);
                if (role == ALONE_TRIP) {
                    get(there, out[at], SOON);
                    put(back, out[at], SOON);
                }
                get(back, out[at], SOON);
            }
        }
    }
};

template <int WORDS> Peer *make(std::size_t slots) {
    if (slots == USUAL_SLOTS) return new PeerOf<UsualRing, WORDS>(slots);
    return new PeerOf<Ring, WORDS>(slots);
}

}  // namespace

extern "C" {
void *queue_new(std::size_t slots, int64_t words) { return words == 1 ? make<1>(slots) : make<8>(slots); }
void queue_free(void *peer) { delete static_cast<Peer *>(peer); }
void queue_clear(void *peer) { static_cast<Peer *>(peer)->clear(); }
void queue_run(void *peer, int64_t role, const int64_t *records, int64_t *out, int64_t n, int64_t total, int64_t batch) {
    static_cast<Peer *>(peer)->run(static_cast<Role>(role), records, out, n, total, batch);
}
}
