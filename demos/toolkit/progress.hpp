#pragma once

#include <multifork/pool/progress_bar.hpp>

#include <string>
#include <string_view>

namespace demo {

/// multifork::ProgressBar as all demos use it: not beside output that goes into a file or a pipe.
/// It goes away without a trace.
class Progress {
public:
    explicit Progress(const std::string& label);
    ~Progress() { clear(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// \param part  0 to 1; less than 0 when nobody knows: no bar then
    void show(double part, std::string_view note = {});
    void clear();

private:
    multifork::ProgressBar bar_;
};

} // namespace demo
