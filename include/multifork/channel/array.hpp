#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/channel/element.hpp>
#include <multifork/platform/mutant.hpp>
#include <multifork/sync/lock.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

// The bytes of an Array:
//
//   offset 0    lock word       get_lock()
//          8    recoveries
//          16   size            elements in use; one store commits a resize()
//          64   elements        max_size of them, set aside when the array is made
//
// The elements never move, so a view that another process holds stays good. resize() writes new
// elements before it stores the size that takes them in: who dies in between has changed nothing
// that anybody looks at.

namespace multifork {

namespace detail {

struct ArrayHeader {
    Lock::Block lock;
    std::atomic<std::uint64_t> size;
    std::uint64_t spare[5];
};
static_assert(sizeof(ArrayHeader) == 64);

/// \throws InvalidArgument for more elements than any machine has memory for
[[nodiscard]] MULTIFORK_API std::size_t array_bytes(std::size_t elements, std::size_t element_bytes,
                                                    std::size_t header_bytes);
[[noreturn]] MULTIFORK_API void throw_array_too_large(std::size_t size, std::size_t max_size);

} // namespace detail

struct ArrayOptions {
    /// How many elements the array can ever have; at least its size, which is the default. The
    /// memory for them is set aside at once.
    std::size_t max_size = 0;
};

/// A row of elements of a trivially copyable type, shared by processes.
///
/// \code
///   mp::Array<double> samples{1000};
///   samples[3] = 0.5;                          // racy, as Value::value()
///   samples[3].fetch_add(1.0);                 // atomic
///   std::ranges::sort(samples.view());         // any algorithm, in place
///   { std::scoped_lock hold{samples.get_lock()}; ... }
///   mp::Array<int> list{10, {.max_size = 1000}};
///   list.resize(20);                           // other processes' views stay where they are
/// \endcode
///
/// An Array is a handle: copies, and what a forked child inherits, mean the same array.
///
/// \threads   distinct and shared objects are safe; elements are as safe as plain memory
/// \processes as threads
/// \fork      the child inherits the handle
/// \crash     resize(): the old or the new size, with all elements in order. A process that dies
///            in assign() or fill(), or while it holds get_lock(), makes the next locker throw
///            OwnerDied: the elements may be half written
/// \cost      elements: the machine's own instructions
template <Shareable T>
class Array : public Elements<Array<T>, T> {
    using Base = Elements<Array<T>, T>;

public:
    using multifork_describable = void;
    using value_type = T;

    /// `size` elements, zero. \throws InvalidArgument, OutOfSharedMemory
    explicit Array(std::size_t size, ArrayOptions options = {})
        : Array(arena::Object::make(bytes(size, options), arena::Kind::array, initialiser(size))) {}
    /// A copy of what is in a range. \throws InvalidArgument, OutOfSharedMemory
    template <RangeOf<T> R>
        requires(!std::same_as<std::remove_cvref_t<R>, Array>)
    explicit Array(const R& values, ArrayOptions options = {})
        : Array(values, Base::count_of(values), options) {}
    /// `Array<int>::of({1, 2, 3})`. A constructor from a list would take `Array<int>{10}` for one
    /// element, as std::vector does.
    [[nodiscard]] static Array of(std::initializer_list<T> values, ArrayOptions options = {}) {
        return Array(std::span<const T>(values.begin(), values.size()), options);
    }

    /// \name Named arrays, for programs that are not related
    /// Size and options count only for who creates it.
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static Array create(std::string_view name, std::size_t size, ArrayOptions options = {}) {
        return named(name, arena::OpenMode::create, size, options);
    }
    static Array open(std::string_view name) { return named(name, arena::OpenMode::open, 0, {}); }
    static Array open_or_create(std::string_view name, std::size_t size,
                                ArrayOptions options = {}) {
        return named(name, arena::OpenMode::open_or_create, size, options);
    }
    static bool remove(std::string_view name) { return arena::remove_named(name); }
    /// @}

    [[nodiscard]] std::size_t size() const noexcept {
        // acquire: pairs with the commit of a resize(), so that the new elements are there.
        // min: the word may have been overwritten
        return std::min<std::size_t>(header_->size.load(std::memory_order_acquire), max_size_);
    }
    [[nodiscard]] std::size_t max_size() const noexcept { return max_size_; }
    [[nodiscard]] T* data() const noexcept { return reinterpret_cast<T*>(header_ + 1); }

    /// Makes the array longer, with copies of `fill` at its end, or shorter. In place: views of
    /// the old size stay valid, and see what is written to their elements.
    /// \throws InvalidArgument for more than max_size(), OwnerDied
    void resize(std::size_t size, const T& fill = T{}) const {
        if (size > max_size_)
            detail::throw_array_too_large(size, max_size_);
        const Guard hold(*this, core::OnDeath::refuse_one_store);
        const std::size_t before = this->size();
        if (MULTIFORK_MUTANT(size_first))
            header_->size.store(size);
        for (std::size_t i = before; i < size; ++i)
            core::store_element(data() + i, fill);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        // release: pairs with the acquire in size(). COMMIT.
        header_->size.store(size, std::memory_order_release);
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }

    /// \name Several elements, under the array's lock
    /// A thread that holds get_lock() already goes on under it.
    /// \throws InvalidArgument when there are no such elements, OwnerDied
    /// @{
    /// A copy of the elements from `first` to before `last`.
    [[nodiscard]] std::vector<T> slice(std::size_t first, std::size_t last) const {
        const Guard hold(*this, core::OnDeath::refuse_one_store);
        return Base::copy_of(first, last);
    }
    /// A copy of all elements.
    [[nodiscard]] std::vector<T> to_vector() const {
        const Guard hold(*this, core::OnDeath::refuse_one_store);
        return Base::copy_of(0, size());
    }
    /// Writes the range to the elements from `first` on; nothing when they are too few.
    template <RangeOf<T> R>
    void assign(std::size_t first, const R& values) const {
        const Guard hold(*this, core::OnDeath::refuse);
        Base::write(first, values, Base::count_of(values));
    }
    void assign(std::size_t first, std::initializer_list<T> values) const {
        assign(first, std::span<const T>(values.begin(), values.size()));
    }
    void fill(const T& value) const {
        const Guard hold(*this, core::OnDeath::refuse);
        for (std::size_t i = 0; i < size(); ++i)
            (*this)[i] = value;
    }
    /// @}

    /// The array's own lock.
    [[nodiscard]] Lock& get_lock() const noexcept { return lock_; }

    /// `<Array 10/1000>`: size and max_size
    [[nodiscard]] std::string to_string() const {
        return fmt::format("<Array {}/{}>", size(), max_size());
    }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::array;
    [[nodiscard]] arena::Crossing crossing() const { return {lock_.crossing_of_whole().object}; }
    static Array arrive(const arena::Crossing& crossing) {
        arena::check_arrived(crossing, sizeof(detail::ArrayHeader));
        return Array(crossing.object);
    }
    /// @}

private:
    static_assert(alignof(T) <= 64, "an array's elements are aligned to 64 bytes at most");

    /// Holds the array's lock, unless the calling thread does so already.
    class Guard {
    public:
        Guard(const Array& array, core::OnDeath on_death)
            : cell_(array.header_->lock.cell), domain_(array.lock_.domain()) {
            const auto me = liveness::enter(domain_);
            mine_ = !core::held_by(cell_, me);
            if (!mine_)
                return;
            const auto got = core::lock(cell_, domain_, me, platform::Deadline::never(), on_death);
            if (got != core::Acquired::clean) [[unlikely]]
                array.lock_.throw_for(got);
        }
        ~Guard() {
            if (!mine_)
                return;
            core::unlock_after_call(cell_, liveness::enter(domain_)); // a user's range ran
        }
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;

    private:
        core::LockCell& cell_;
        liveness::Domain& domain_;
        bool mine_ = false;
    };

    template <class R>
    Array(const R& values, std::size_t count, ArrayOptions options) : Array(count, options) {
        Base::write(0, values, count);
    }
    explicit Array(const arena::Object& object)
        : header_(reinterpret_cast<detail::ArrayHeader*>(object.data())),
          max_size_((object.bytes() - sizeof(detail::ArrayHeader)) / sizeof(T)),
          lock_(object, &header_->lock, on_owner_death::refuse) {}

    static std::size_t bytes(std::size_t size, const ArrayOptions& options) {
        return detail::array_bytes(std::max(size, options.max_size), sizeof(T),
                                   sizeof(detail::ArrayHeader));
    }
    static auto initialiser(std::size_t size) {
        return [size](std::byte* bytes) {
            reinterpret_cast<detail::ArrayHeader*>(bytes)->size.store(size);
        };
    }
    static Array named(std::string_view name, arena::OpenMode mode, std::size_t size,
                       const ArrayOptions& options) {
        arena::Identity identity;
        identity.kind = arena::Kind::array;
        identity.type_name = typeid(T).name();
        identity.root_bytes = bytes(size, options);
        identity.any_size = true;
        identity.least_bytes = sizeof(detail::ArrayHeader);
        identity.parameters[0] = sizeof(T);
        identity.parameters[1] = 1; // with a lock
        identity.what = "Array";
        return Array(arena::named_object(name, mode, identity, initialiser(size)));
    }

    detail::ArrayHeader* header_;
    std::size_t max_size_;
    mutable Lock lock_; // const means the handle, not what it is of
};

/// An Array without a lock and of fixed size: nothing but its elements.
///
/// \threads   as safe as plain memory \processes as threads \fork the child inherits the handle
/// \crash     each element is as its last writer left it
template <Shareable T>
class RawArray : public Elements<RawArray<T>, T> {
    using Base = Elements<RawArray<T>, T>;

public:
    using multifork_describable = void;
    using value_type = T;

    /// `size` elements, zero. \throws InvalidArgument, OutOfSharedMemory
    explicit RawArray(std::size_t size)
        : RawArray(arena::Object::make(detail::array_bytes(size, sizeof(T), 0), arena::Kind::array,
                                       [](std::byte*) {}),
                   size) {}
    /// A copy of what is in a range. \throws InvalidArgument, OutOfSharedMemory
    template <RangeOf<T> R>
        requires(!std::same_as<std::remove_cvref_t<R>, RawArray>)
    explicit RawArray(const R& values) : RawArray(values, Base::count_of(values)) {}
    [[nodiscard]] static RawArray of(std::initializer_list<T> values) {
        return RawArray(std::span<const T>(values.begin(), values.size()));
    }

    /// \name Named arrays: as Array's
    /// @{
    static RawArray create(std::string_view name, std::size_t size) {
        return named(name, arena::OpenMode::create, size);
    }
    static RawArray open(std::string_view name) { return named(name, arena::OpenMode::open, 0); }
    static RawArray open_or_create(std::string_view name, std::size_t size) {
        return named(name, arena::OpenMode::open_or_create, size);
    }
    static bool remove(std::string_view name) { return arena::remove_named(name); }
    /// @}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] T* data() const noexcept { return data_; }

    /// A copy of the elements from `first` to before `last`. \throws InvalidArgument
    [[nodiscard]] std::vector<T> slice(std::size_t first, std::size_t last) const {
        return Base::copy_of(first, last);
    }
    [[nodiscard]] std::vector<T> to_vector() const { return Base::copy_of(0, size_); }
    /// Writes the range to the elements from `first` on. \throws InvalidArgument
    template <RangeOf<T> R>
    void assign(std::size_t first, const R& values) const {
        Base::write(first, values, Base::count_of(values));
    }
    void assign(std::size_t first, std::initializer_list<T> values) const {
        Base::write(first, values, values.size());
    }
    void fill(const T& value) const {
        for (std::size_t i = 0; i < size_; ++i)
            (*this)[i] = value;
    }

    [[nodiscard]] std::string to_string() const { return fmt::format("<RawArray {}>", size_); }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::array;
    [[nodiscard]] arena::Crossing crossing() const { return {object_, {size_, 0}}; }
    static RawArray arrive(const arena::Crossing& crossing) {
        if (crossing.words[0] > crossing.object.bytes() / sizeof(T))
            detail::throw_no_elements(0, crossing.words[0], crossing.object.bytes() / sizeof(T));
        return RawArray(crossing.object, crossing.words[0]);
    }
    /// @}

private:
    static_assert(alignof(T) <= 64, "an array's elements are aligned to 64 bytes at most");

    template <class R>
    RawArray(const R& values, std::size_t count) : RawArray(count) {
        Base::write(0, values, count);
    }
    RawArray(arena::Object object, std::size_t size)
        : data_(reinterpret_cast<T*>(object.data())), size_(size), object_(std::move(object)) {}

    static RawArray named(std::string_view name, arena::OpenMode mode, std::size_t size) {
        arena::Identity identity;
        identity.kind = arena::Kind::array;
        identity.type_name = typeid(T).name();
        identity.root_bytes = detail::array_bytes(size, sizeof(T), 0);
        identity.any_size = true;
        identity.parameters[0] = sizeof(T);
        identity.what = "RawArray";
        auto object = arena::named_object(name, mode, identity, [](std::byte*) {});
        const std::size_t elements = object.bytes() / sizeof(T);
        return RawArray(std::move(object), elements);
    }

    T* data_;
    std::size_t size_;
    arena::Object object_;
};

} // namespace multifork
