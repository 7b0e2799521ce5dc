#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace demo {

/// The command line makes no sense: run() says why and exits with 2.
class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A demo's command line; --help comes by itself. (By cxxopts, which takes three seconds to
/// compile: options.cpp alone includes it.)
class Options {
public:
    /// \param epilogue  printed below the options by --help
    Options(std::string name, const std::string& summary, std::string epilogue);
    Options(Options&&) noexcept;
    Options& operator=(Options&&) noexcept;
    ~Options();

    /// A whole number from `least` to `most`.
    void add_number(const std::string& name, const std::string& help, std::int64_t otherwise,
                    std::int64_t least, std::int64_t most);
    void add_flag(const std::string& name, const std::string& help);
    /// --short, for a quick look: sets numbers that are not given. None: it changes nothing.
    void add_short(std::map<std::string, std::int64_t> numbers);
    /// Any text but none, such as a file's name.
    void add_text(const std::string& name, const std::string& help, const std::string& placeholder,
                  const std::string& otherwise = "");
    /// Takes what is not an option.
    void add_operands(const std::string& placeholder);

    /// \return false when --help was asked for, and given \throws UsageError
    [[nodiscard]] bool parse(int argc, char** argv);

    [[nodiscard]] std::int64_t number(const std::string& name) const { return numbers_.at(name); }
    [[nodiscard]] std::string text(const std::string& name) const;
    [[nodiscard]] bool given(const std::string& name) const;
    [[nodiscard]] bool flag(const std::string& name) const;
    /// Refuses options that mean nothing as the demo was called: who gives one expects something of
    /// it. \param when  "without --step" \throws UsageError when one was given
    void refuse(std::initializer_list<const char*> names, const std::string& when) const;
    [[nodiscard]] const std::vector<std::string>& operands() const { return operands_; }

private:
    struct Range {
        std::int64_t least;
        std::int64_t most;
    };
    struct Parser;
    std::unique_ptr<Parser> parser_;
    std::string epilogue_;
    std::map<std::string, Range> ranges_;
    std::map<std::string, std::int64_t> numbers_;
    std::map<std::string, std::int64_t> short_;
    std::set<std::string> flags_;
    std::map<std::string, std::string> texts_; ///< their placeholders
    bool takes_operands_ = false;
    std::vector<std::string> operands_;
};

} // namespace demo
