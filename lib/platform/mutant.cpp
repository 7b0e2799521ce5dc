#include <multifork/platform/mutant.hpp>

#ifdef MULTIFORK_MUTANTS
namespace multifork::mutants {
Mutant active = Mutant::none;
} // namespace multifork::mutants
#endif
