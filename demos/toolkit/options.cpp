#include "toolkit/options.hpp"

#include "toolkit/text.hpp"

#include <cxxopts.hpp>
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

struct Options::Parser {
    Parser(std::string name, const std::string& summary) : options(std::move(name), summary) {}

    cxxopts::Options options;
    cxxopts::ParseResult result;
};

Options::Options(std::string name, const std::string& summary, std::string epilogue)
    : parser_(std::make_unique<Parser>(std::move(name), summary)), epilogue_(std::move(epilogue)) {
    parser_->options.set_width(76);
    parser_->options.add_options()("h,help", "this text");
}

Options::Options(Options&&) noexcept = default;
Options& Options::operator=(Options&&) noexcept = default;
Options::~Options() = default;

std::string Options::text(const std::string& name) const {
    return parser_->result[name].as<std::string>();
}

bool Options::given(const std::string& name) const {
    return parser_->result.count(name) > 0;
}

bool Options::flag(const std::string& name) const {
    return parser_->result[name].as<bool>(); // --step=false is none
}

void Options::refuse(std::initializer_list<const char*> names, const std::string& when) const {
    for (const char* const name : names)
        if (flags_.contains(name) ? flag(name) : given(name))
            throw UsageError(fmt::format("there is no use for --{} {}", name, when));
}

void Options::add_number(const std::string& name, const std::string& help, std::int64_t otherwise,
                         std::int64_t least, std::int64_t most) {
    // Taken as text, so that a wrong number gets a message that says what would be right.
    parser_->options.add_options()(
        name, fmt::format("{}, {} to {}", help, grouped(least), grouped(most)),
        cxxopts::value<std::string>()->default_value(fmt::format("{}", otherwise)), "N");
    ranges_.emplace(name, Range{least, most});
}

void Options::add_flag(const std::string& name, const std::string& help) {
    parser_->options.add_options()(name, help);
    flags_.insert(name);
}

void Options::add_short(std::map<std::string, std::int64_t> numbers) {
    std::string help;
    for (const auto& [name, number] : numbers)
        help += fmt::format("{}--{} {}", help.empty() ? "as with " : " ", name, number);
    add_flag("short", help.empty() ? "the same: it is short already" : help);
    short_ = std::move(numbers);
}

void Options::add_text(const std::string& name, const std::string& help,
                       const std::string& placeholder, const std::string& otherwise) {
    parser_->options.add_options()(
        name, help, cxxopts::value<std::string>()->default_value(otherwise), placeholder);
    texts_.emplace(name, placeholder);
}

void Options::add_operands(const std::string& placeholder) {
    parser_->options.add_options("operands")("operands", "",
                                             cxxopts::value<std::vector<std::string>>());
    parser_->options.parse_positional("operands");
    parser_->options.positional_help(placeholder);
    takes_operands_ = true;
}

bool Options::parse(int argc, char** argv) {
    try {
        parser_->result = parser_->options.parse(argc, argv);
    } catch (const std::exception& error) {
        throw UsageError(printable(plain_quotes(error.what())));
    }
    if (flag("help")) {
        fmt::print("{}\n{}", parser_->options.help({""}), epilogue_);
        return false;
    }
    if (!takes_operands_ && !parser_->result.unmatched().empty())
        throw UsageError(fmt::format("there is no use for '{}'; options begin with --",
                                     printable(parser_->result.unmatched().front())));
    if (takes_operands_ && parser_->result.count("operands") > 0)
        operands_ = parser_->result["operands"].as<std::vector<std::string>>();

    for (const auto& [name, range] : ranges_) {
        const auto text = parser_->result[name].as<std::string>();
        const auto number = whole_number(text);
        if (!number || *number < range.least || *number > range.most)
            throw UsageError(fmt::format("--{} takes a whole number from {} to {}, not '{}'", name,
                                         range.least, range.most, printable(text, 40)));
        numbers_[name] = *number;
    }
    for (const auto& [name, placeholder] : texts_)
        if (given(name) && text(name).empty())
            throw UsageError(fmt::format("--{} takes {}, not ''", name, placeholder));
    if (flags_.contains("short") && flag("short"))
        for (const auto& [name, number] : short_)
            if (!given(name))
                numbers_[name] = number;
    return true;
}

} // namespace demo
