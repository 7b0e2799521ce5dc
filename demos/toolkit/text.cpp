#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace demo {
namespace {

bool continues_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// Bytes of the UTF-8 character that the text begins with; 0 when that is none, or a control.
std::size_t character_length(std::string_view text) {
    const auto byte = static_cast<unsigned char>(text[0]);
    if (byte < 0x80)
        return byte >= 0x20 && byte != 0x7F ? 1 : 0;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    if (byte < 0xC2 || byte > 0xF4 || text.size() < length ||
        !std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(length),
                     continues_character))
        return 0;
    const bool control = byte == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    return control || !terminal().unicode ? 0 : length;
}

/// Whether the character that begins with these three bytes takes two columns: Korean, Chinese and
/// Japanese ones, and what is as wide as they are.
bool is_wide(std::string_view text) {
    if (text.size() < 3 || (static_cast<unsigned char>(text[0]) & 0xF0) != 0xE0)
        return false;
    const auto bits = [&](std::size_t i) { return static_cast<unsigned char>(text[i]) & 0x3FU; };
    const unsigned code =
        (static_cast<unsigned char>(text[0]) & 0xFU) << 12U | bits(1) << 6U | bits(2);
    const auto within = [&](unsigned first, unsigned last) {
        return code >= first && code <= last;
    };
    return within(0x1100, 0x115F) || within(0x2E80, 0xA4CF) || within(0xAC00, 0xD7A3) ||
           within(0xF900, 0xFAFF) || within(0xFE30, 0xFE6F) || within(0xFF00, 0xFF60);
}

} // namespace

int columns(std::string_view text) {
    int count = 0;
    for (; !text.empty(); text.remove_prefix(1))
        if (!continues_character(text[0]))
            count += is_wide(text) ? 2 : 1;
    return count;
}

std::string repeat(std::string_view text, int times) {
    std::string result;
    for (int i = 0; i < times; ++i)
        result += text;
    return result;
}

std::string pad_right(std::string_view text, int width) {
    return std::string(text) + repeat(" ", width - columns(text));
}
std::string pad_left(std::string_view text, int width) {
    return repeat(" ", width - columns(text)) + std::string(text);
}

std::string grouped(std::int64_t number) {
    std::string digits = fmt::format("{}", number);
    const std::ptrdiff_t first = number < 0 ? 1 : 0;
    for (auto at = std::ssize(digits) - 3; at > first; at -= 3)
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    return digits;
}

std::string count_of(std::int64_t number, std::string_view one, std::string_view many) {
    if (number == 1)
        return fmt::format("1 {}", one);
    return many.empty() ? fmt::format("{} {}s", grouped(number), one)
                        : fmt::format("{} {}", grouped(number), many);
}

std::string duration_text(std::int64_t ns) {
    const auto value = static_cast<double>(ns);
    if (ns < 10'000)
        return fmt::format("{} ns", grouped(ns));
    if (ns < 1'000'000)
        return fmt::format("{:.1f} {}", value / 1e3, terminal().unicode ? "µs" : "us");
    if (ns < 100'000'000)
        return fmt::format("{:.2f} ms", value / 1e6);
    if (ns < 1'000'000'000) // as wide as the others, for tables
        return fmt::format("{:.1f} ms", value / 1e6);
    return fmt::format("{:.1f} s", value / 1e9);
}

std::string printable(std::string_view bytes, int width) {
    std::string result;
    int used = 0;
    while (!bytes.empty()) {
        const std::size_t length = character_length(bytes);
        const int needs = length > 0 ? 1 : 4;
        if (used + needs > width - 1 && used + static_cast<int>(bytes.size()) > width)
            return result.append(glyphs().ellipsis);
        if (length > 0)
            result += bytes.substr(0, length);
        else
            result += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[0]));
        used += needs;
        bytes.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

void paragraph(std::string_view text, Ink ink) {
    const int width = std::min(terminal().width, 76);
    std::string line;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        if (!line.empty() && columns(line) + 1 + columns(word) > width) {
            fmt::print("{}\n", paint(ink, line));
            line.clear();
        }
        line += line.empty() ? "" : " ";
        line += word;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (!line.empty())
        fmt::print("{}\n", paint(ink, line));
}

void title(std::string_view text) {
    fmt::print("{}\n\n", paint(Ink::strong, text));
}

void heading(std::string_view text) {
    fmt::print("\n{}\n", paint(Ink::strong, text));
}

} // namespace demo
