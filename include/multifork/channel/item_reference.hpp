#pragma once

#include <concepts>
#include <utility>

namespace multifork {

/// What `list[index]` and `dict[key]` give: reads like the element, and is assigned to like it.
/// Each is one operation under the container's lock; between them others may change it. For
/// `list[i] += 1` there is fetch_add(), which is one operation.
template <class Container, class Key, class T>
class ItemReference {
public:
    ItemReference(const Container& container, Key key)
        : container_(container), key_(std::move(key)) {}
    /// \throws as Container::at()
    [[nodiscard]] T get() const { return container_.at(key_); }
    operator T() const { return get(); } // implicit: it reads like the element
    /// What an element that is itself a handle can do: `lists[0]->append(3)`. Any other element can
    /// be asked, but not changed, because it is a copy.
    [[nodiscard]] auto operator->() const {
        struct Arrow {
            const T element;
            const T* operator->() const noexcept { return &element; }
        };
        return Arrow{get()};
    }
    const ItemReference& operator=(const T& value) const {
        container_.set(key_, value);
        return *this;
    }
    const ItemReference& operator=(const ItemReference& other) const { return *this = other.get(); }
    ItemReference(const ItemReference&) = default;
    [[nodiscard]] friend bool operator==(const ItemReference& a,
                                         const T& b) requires std::equality_comparable<T> {
        return a.get() == b;
    }
    [[nodiscard]] friend bool
    operator==(const ItemReference& a,
               const ItemReference& b) requires std::equality_comparable<T> {
        return a.get() == b.get();
    }

private:
    const Container& container_;
    Key key_;
};

} // namespace multifork
