#include "toolkit/options.hpp"

#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace demo {
namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stopped != end)
        return std::nullopt;
    return number;
}

/// cxxopts quotes by ‘ and ’, which not every terminal shows.
std::string plain_quotes(std::string text) {
    for (const std::string_view quote : {"\u2018", "\u2019"})
        for (auto at = text.find(quote); at != std::string::npos; at = text.find(quote))
            text.replace(at, quote.size(), "'");
    return text;
}

} // namespace

Options::Options(std::string name, const std::string& summary, std::string epilogue)
    : options_(std::move(name), summary), epilogue_(std::move(epilogue)) {
    options_.set_width(76);
    options_.add_options()("h,help", "this text");
}

void Options::add_number(const std::string& name, const std::string& help, std::int64_t otherwise,
                         std::int64_t least, std::int64_t most) {
    // Taken as text, so that a wrong number gets a message that says what would be right.
    options_.add_options()(
        name, fmt::format("{}, {} to {}", help, grouped(least), grouped(most)),
        cxxopts::value<std::string>()->default_value(fmt::format("{}", otherwise)), "N");
    ranges_.emplace(name, Range{least, most});
}

void Options::add_flag(const std::string& name, const std::string& help) {
    options_.add_options()(name, help);
}

void Options::add_text(const std::string& name, const std::string& help,
                       const std::string& placeholder, const std::string& otherwise) {
    options_.add_options()(name, help, cxxopts::value<std::string>()->default_value(otherwise),
                           placeholder);
}

void Options::add_operands(const std::string& placeholder) {
    options_.add_options("operands")("operands", "", cxxopts::value<std::vector<std::string>>());
    options_.parse_positional("operands");
    options_.positional_help(placeholder);
    takes_operands_ = true;
}

bool Options::parse(int argc, char** argv) {
    try {
        result_ = options_.parse(argc, argv);
    } catch (const std::exception& error) {
        throw UsageError(printable(plain_quotes(error.what())));
    }
    if (result_.count("help") > 0) {
        fmt::print("{}\n{}", options_.help({""}), epilogue_);
        return false;
    }
    if (!takes_operands_ && !result_.unmatched().empty())
        throw UsageError(fmt::format("there is no use for '{}'; options begin with --",
                                     printable(result_.unmatched().front())));
    if (takes_operands_ && result_.count("operands") > 0)
        operands_ = result_["operands"].as<std::vector<std::string>>();

    for (const auto& [name, range] : ranges_) {
        const auto text = result_[name].as<std::string>();
        const auto number = whole_number(text);
        if (!number || *number < range.least || *number > range.most)
            throw UsageError(fmt::format("--{} takes a whole number from {} to {}, not '{}'", name,
                                         range.least, range.most, printable(text, 40)));
        numbers_[name] = *number;
    }
    return true;
}

} // namespace demo
