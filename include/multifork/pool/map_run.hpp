#pragma once

#include <multifork/pool/checks.hpp>
#include <multifork/pool/map_job.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <new>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

/// \file
/// \internal A map as a worker runs it.

namespace multifork::detail {

template <class R>
inline constexpr bool in_place = Shareable<Stored<R>> && !std::is_void_v<R>;

template <class F, class T>
struct Plain {
    using Result = std::decay_t<std::invoke_result_t<F&, T>>;
    static decltype(auto) call(F& f, T&& item) { return std::invoke(f, std::move(item)); }
};
template <class F, class T>
struct Starred {
    using Result = std::decay_t<decltype(std::apply(std::declval<F&>(), std::declval<T>()))>;
    static decltype(auto) call(F& f, T&& item) { return std::apply(f, std::move(item)); }
};

/// A callable that is read later than it is declared. (std::optional is not used: to g++ 12 a
/// closure is not trivially copyable any more when it was in one.)
template <class F>
class Late {
public:
    Late() noexcept {} // NOLINT: the union's member begins to live in read_once()
    ~Late() {
        if (is_there_)
            f_.~F();
    }
    Late(const Late&) = delete;
    Late& operator=(const Late&) = delete;

    void read_once(std::span<const std::byte> bytes) {
        if (is_there_)
            return;
        ByteReader reader(bytes);
        ::new (static_cast<void*>(&f_)) F(Cross<F>::read(reader));
        is_there_ = true;
    }
    [[nodiscard]] F& get() noexcept { return f_; }

private:
    union {
        F f_;
    };
    bool is_there_ = false;
};

/// The chunks of one share. The words of the layout were read from shared memory: they must not
/// lead beyond the block.
template <class F, class T, class Way>
class Chunks {
    using R = typename Way::Result;

public:
    Chunks(const TaskRun& run, const MapLayout& layout)
        : layout_(layout), bytes_(run.bytes), callable_(run.rest.subspan(sizeof layout)) {
        if (layout.inputs > run.bytes.size())
            throw_bad_map();
        if constexpr (Shareable<T>)
            check(layout.inputs, sizeof(T));
        if constexpr (in_place<R>)
            check(layout.results, sizeof(R));
    }

    void run(TaskRun& run, std::uint64_t chunk) {
        f_.read_once(callable_); // when the chunk is claimed: it is at that one that it may throw
        std::uint64_t at = run.first;
        try {
            if constexpr (Shareable<T>) {
                const T* const inputs = reinterpret_cast<const T*>(bytes_.data() + layout_.inputs);
                go(run, at, [inputs](std::uint64_t item) { return T(inputs[item]); });
            } else {
                ByteReader reader(bytes_.subspan(input_of(chunk)));
                go(run, at, [&reader](std::uint64_t) { return Cross<T>::read(reader); });
            }
        } catch (...) {
            run.item = at;
            throw;
        }
    }

private:
    template <class Input>
    void go(TaskRun& run, std::uint64_t& at, Input input) {
        F& f = f_.get();
        const std::uint64_t end = run.first + run.count;
        if constexpr (std::is_void_v<R>) {
            for (; at < end; ++at)
                Way::call(f, input(at));
        } else if constexpr (in_place<R>) {
            std::byte* const results = bytes_.data() + layout_.results;
            for (; at < end; ++at) {
                const R result = Way::call(f, input(at));
                std::memcpy(results + at * sizeof(R), &result, sizeof(R));
            }
        } else {
            ByteWriter writer(run.result);
            for (; at < end; ++at) {
                const R result = Way::call(f, input(at));
                Cross<R>::write(writer, result);
            }
        }
    }
    void check(std::uint64_t at, std::size_t each) const {
        if (at > bytes_.size() || layout_.items > (bytes_.size() - at) / each)
            throw_bad_map();
    }
    [[nodiscard]] std::uint64_t input_of(std::uint64_t chunk) const {
        if ((bytes_.size() - layout_.inputs) / 8 <= chunk)
            throw_bad_map();
        std::uint64_t at = 0;
        std::memcpy(&at, bytes_.data() + layout_.inputs + chunk * 8, 8);
        if (at > bytes_.size())
            throw_bad_map();
        return at;
    }

    const MapLayout& layout_;
    std::span<std::byte> bytes_;
    std::span<const std::byte> callable_;
    Late<F> f_;
};

template <class F, class T, class Way>
void run_map(TaskRun& run) {
    MapLayout layout;
    if (run.rest.size() < sizeof layout)
        throw_bad_map();
    std::memcpy(&layout, run.rest.data(), sizeof layout);
    Chunks<F, T, Way> chunks(run, layout);
    run_share(run, layout, {&chunks, [](void* self, TaskRun& each, std::uint64_t chunk) {
                                static_cast<Chunks<F, T, Way>*>(self)->run(each, chunk);
                            }});
}

} // namespace multifork::detail
