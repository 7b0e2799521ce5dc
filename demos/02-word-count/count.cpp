#include "count.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace demo {
namespace {

constexpr std::size_t piece_bytes = std::size_t{256} << 10;

bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r'); // \t \n \v \f \r are neighbours
}

/// Counts what it is fed, piece by piece.
class Counter {
public:
    explicit Counter(FileCount& into) : into_(into) {}

    void feed(std::string_view piece) {
        into_.totals.bytes += piece.size();
        std::size_t begin = 0;
        for (std::size_t i = 0; i < piece.size(); ++i) {
            if (!is_blank(piece[i]))
                continue;
            into_.totals.lines += piece[i] == '\n' ? 1 : 0;
            end_word(piece.substr(begin, i - begin));
            begin = i + 1;
        }
        unfinished_ += piece.substr(begin);
    }
    void finish() { end_word({}); }

private:
    void end_word(std::string_view rest) {
        if (unfinished_.empty())
            return count(rest);
        unfinished_ += rest;
        count(unfinished_);
        unfinished_.clear();
    }
    void count(std::string_view word) {
        if (word.empty())
            return;
        ++into_.totals.words;
        const auto known = into_.words.find(word);
        if (known != into_.words.end())
            ++known->second;
        else
            into_.words.emplace(word, 1);
    }

    FileCount& into_;
    std::string unfinished_; ///< the beginning of a word that goes on in the next piece
};

struct Descriptor {
    int number;
    ~Descriptor() {
        if (number >= 0)
            ::close(number);
    }
};

FileCount ended(FileCount::State state, int error = 0) {
    FileCount count;
    count.state = state;
    count.error = error;
    return count;
}

} // namespace

FileCount count_file(const std::string& path) {
    // O_NONBLOCK: a named pipe must not keep us waiting for a writer.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
    struct stat about {};
    if (file.number < 0 || ::fstat(file.number, &about) != 0)
        return ended(FileCount::State::unreadable, errno);
    if (!S_ISREG(about.st_mode))
        return ended(FileCount::State::unreadable);

    FileCount count;
    Counter counter(count);
    std::string buffer(piece_bytes, '\0');
    while (true) {
        const ssize_t got = ::read(file.number, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ended(FileCount::State::unreadable, errno);
        if (got == 0)
            break;
        const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
        if (std::memchr(piece.data(), 0, piece.size()) != nullptr ||
            (count.totals.bytes == 0 && piece.starts_with("\x1f\x8b")))
            return ended(FileCount::State::not_text);
        counter.feed(piece);
    }
    counter.finish();
    return count;
}

} // namespace demo
