#pragma once

#include <cstdint>
#include <string>

namespace multifork::test {

/// A message that carries a number and shows when it is torn.
template <class T>
struct Numbered;

struct Plain {
    std::uint64_t number = 0;
    std::uint64_t inverse = 0;
    std::uint64_t times3 = 0;
};

template <>
struct Numbered<Plain> {
    static Plain make(std::uint64_t n) { return {n, ~n, n * 3}; }
    static bool whole(const Plain& p) { return p.inverse == ~p.number && p.times3 == p.number * 3; }
    static std::uint64_t number(const Plain& p) { return p.number; }
};

/// Most of them are larger than a slot.
template <>
struct Numbered<std::string> {
    static std::string make(std::uint64_t n) {
        const std::string digits = std::to_string(n);
        return digits + std::string(n % 700, static_cast<char>('a' + n % 26));
    }
    static bool whole(const std::string& s) { return s == make(number(s)); }
    static std::uint64_t number(const std::string& s) {
        std::uint64_t n = 0;
        for (const char c : s) {
            if (c < '0' || c > '9')
                break;
            n = n * 10 + static_cast<std::uint64_t>(c - '0');
        }
        return n;
    }
};

} // namespace multifork::test
