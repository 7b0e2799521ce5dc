#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/channel/changed.hpp>
#include <multifork/core/value_cell.hpp>
#include <multifork/format.hpp>
#include <multifork/memory/shareable.hpp>
#include <multifork/sync/lock.hpp>

#include <concepts>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace multifork {

/// What Value::value() gives: the shared value without any synchronisation.
///
/// Reading is a relaxed load, writing a relaxed store, and `x += 1` is the one and then the other:
/// two processes that do it at once lose updates. That is a race by design, never undefined
/// behaviour, and the compiler never folds such steps into one.
template <Shareable T>
class RacyReference {
public:
    explicit RacyReference(core::ValueCell<T>& cell) noexcept : cell_(&cell) {}
    RacyReference(const RacyReference&) noexcept = default;

    operator T() const noexcept { // implicit: it reads like the value
        std::atomic_signal_fence(std::memory_order_seq_cst);
        const T seen = cell_->load_racy();
        std::atomic_signal_fence(std::memory_order_seq_cst);
        return seen;
    }
    const RacyReference& operator=(const T& value) const noexcept {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        cell_->store_racy(value);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        return *this;
    }
    const RacyReference& operator=(const RacyReference& other) const noexcept {
        return *this = static_cast<T>(other);
    }

    // clang-format off
    template <class U> const RacyReference& operator+=(const U& u) const { return *this = static_cast<T>(get() + u); }
    template <class U> const RacyReference& operator-=(const U& u) const { return *this = static_cast<T>(get() - u); }
    template <class U> const RacyReference& operator*=(const U& u) const { return *this = static_cast<T>(get() * u); }
    template <class U> const RacyReference& operator/=(const U& u) const { return *this = static_cast<T>(get() / u); }
    // clang-format on
    const RacyReference& operator++() const { return *this += 1; }
    const RacyReference& operator--() const { return *this -= 1; }

    [[nodiscard]] T get() const noexcept { return *this; }

private:
    core::ValueCell<T>* cell_;
};

/// One value of any trivially copyable type, shared by processes.
///
/// \code
///   mp::Value<int> counter{0};
///   counter.value() += 1;                     // racy
///   counter.fetch_add(1);                     // atomic
///   counter.update([](int& c) { c += 1; });   // under the value's lock, all or nothing
///   { std::scoped_lock hold{counter.get_lock()}; counter.value() += 1; }
/// \endcode
///
/// A Value is a handle: copies, and what a forked child inherits, mean the same value.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle
/// \crash     update(): the old or the new value, never a torn one, and the lock stays in order. A
///            process that dies while it holds get_lock() makes the next locker, and update(),
///            throw OwnerDied
/// \cost      value() and the atomics: the machine's own instructions
template <Shareable T>
class Value {
public:
    using multifork_describable = void;
    using value_type = T;

    /// \throws OutOfSharedMemory
    explicit Value(const T& initial = T{})
        : Value(arena::Object::make(sizeof(Block), arena::Kind::value, initialiser(initial))) {}

    /// \name Named values, for programs that are not related
    /// `initial` counts only for who creates it.
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static Value create(std::string_view name, const T& initial = T{}) {
        return named(name, arena::OpenMode::create, initial);
    }
    static Value open(std::string_view name) { return named(name, arena::OpenMode::open, T{}); }
    static Value open_or_create(std::string_view name, const T& initial = T{}) {
        return named(name, arena::OpenMode::open_or_create, initial);
    }
    static bool remove(std::string_view name) { return arena::remove_named(name); }
    /// @}

    /// The value, unsynchronised: racy by design.
    [[nodiscard]] RacyReference<T> value() const noexcept { return RacyReference<T>(block_->cell); }

    /// \name Atomic, for a T that the machine stores at once; sequentially consistent
    /// @{
    [[nodiscard]] T load() const noexcept requires core::StoredAtOnce<T> {
        return block_->cell.atomic().load();
    }
    void store(const T& desired) const noexcept requires core::StoredAtOnce<T> {
        block_->cell.atomic().store(desired);
    }
    T exchange(const T& desired) const noexcept requires core::StoredAtOnce<T> {
        return block_->cell.atomic().exchange(desired);
    }
    /// \return whether the value was `expected` and is now `desired`; else `expected` is what it
    /// was
    /// Bytes are compared: a struct with padding would differ from itself, and does not compile.
    bool compare_exchange(T& expected,
                          const T& desired) const noexcept requires core::StoredAtOnce<T> &&
        (std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>) {
        return block_->cell.atomic().compare_exchange_strong(expected, desired);
    }
    /// Adds, and gives the value before.
    T fetch_add(T amount) const noexcept requires core::StoredAtOnce<T> &&
        (std::integral<T> || std::floating_point<T>)&&(!std::same_as<T, bool>) {
        return block_->cell.atomic().fetch_add(amount);
    }
    T fetch_sub(T amount) const noexcept requires core::StoredAtOnce<T> &&
        (std::integral<T> || std::floating_point<T>)&&(!std::same_as<T, bool>) {
        return block_->cell.atomic().fetch_sub(amount);
    }
    T fetch_and(T bits) const noexcept requires core::StoredAtOnce<T> && std::integral<T> &&
        (!std::same_as<T, bool>) {
        return block_->cell.atomic().fetch_and(bits);
    }
    T fetch_or(T bits) const noexcept requires core::StoredAtOnce<T> && std::integral<T> &&
        (!std::same_as<T, bool>) {
        return block_->cell.atomic().fetch_or(bits);
    }
    T fetch_xor(T bits) const noexcept requires core::StoredAtOnce<T> && std::integral<T> &&
        (!std::same_as<T, bool>) {
        return block_->cell.atomic().fetch_xor(bits);
    }
    /// @}

    /// \name A T of several words: read and written whole, under the value's lock
    /// \throws OwnerDied when somebody died while holding get_lock(), WouldDeadlock when the
    /// calling thread holds it: use value() there
    /// @{
    [[nodiscard]] T load() const requires(!core::StoredAtOnce<T>) {
        const Guard hold(*this);
        return block_->cell.load_racy();
    }
    void store(const T& desired) const requires(!core::StoredAtOnce<T>) {
        const Guard hold(*this);
        block_->cell.replace(desired);
    }
    /// @}

    /// Changes the value under its lock, by one store. The atomics above do not take the lock: what
    /// they do meanwhile is overwritten.
    ///
    /// `f(T&)` changes a copy; or `f(const T&)` returns the new value. Nothing changes when f
    /// throws or the process dies. \return the new value \throws OwnerDied when somebody died while
    /// holding get_lock(), WouldDeadlock when the calling thread
    ///         holds it, and what f throws
    template <class F>
        requires detail::Change<F, T> T update(F&& f)
    const {
        const Guard hold(*this);
        const T next = detail::changed(block_->cell.load_racy(), f);
        core::check_after_call(block_->lock.cell, liveness::enter(domain()));
        block_->cell.replace(next);
        return next;
    }

    /// The value's own lock, for sections that update() cannot express.
    [[nodiscard]] Lock& get_lock() const noexcept { return lock_; }

    [[nodiscard]] std::string to_string() const {
        if constexpr (fmt::is_formattable<T>::value)
            return fmt::format("<Value {}>", block_->cell.load_racy());
        else
            return fmt::format("<Value of {} bytes>", sizeof(T));
    }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::value;
    [[nodiscard]] arena::Crossing crossing() const { return {lock_.crossing_of_whole().object}; }
    static Value arrive(const arena::Crossing& crossing) {
        arena::check_arrived(crossing, sizeof(Block));
        return Value(crossing.object);
    }
    /// @}

private:
    struct Block {
        Lock::Block lock;
        alignas(16) core::ValueCell<T> cell;
    };

    /// Holds the lock with the promise that what happens under it takes effect by one store.
    class Guard {
    public:
        explicit Guard(const Value& value)
            : cell_(value.block_->lock.cell), domain_(value.domain()) {
            const auto me = liveness::enter(value.domain());
            const auto got = core::lock(cell_, value.domain(), me, platform::Deadline::never(),
                                        core::OnDeath::refuse_one_store);
            if (got != core::Acquired::clean) [[unlikely]]
                value.lock_.throw_for(got);
        }
        ~Guard() { core::unlock_after_call(cell_, liveness::enter(domain_)); }
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;

    private:
        core::LockCell& cell_;
        liveness::Domain& domain_;
    };

    explicit Value(const arena::Object& object)
        : block_(reinterpret_cast<Block*>(object.data())),
          lock_(object, &block_->lock, on_owner_death::refuse) {}

    static auto initialiser(const T& initial) {
        return
            [&initial](std::byte* bytes) { reinterpret_cast<Block*>(bytes)->cell.init(initial); };
    }
    static Value named(std::string_view name, arena::OpenMode mode, const T& initial) {
        arena::Identity identity;
        identity.kind = arena::Kind::value;
        identity.type_name = typeid(T).name();
        identity.root_bytes = sizeof(Block);
        identity.what = "Value";
        return Value(arena::named_object(name, mode, identity, initialiser(initial)));
    }
    [[nodiscard]] liveness::Domain& domain() const noexcept { return lock_.domain(); }

    Block* block_;
    mutable Lock lock_; // const means the handle, not what it is of
};

} // namespace multifork
