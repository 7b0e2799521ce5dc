#include <multifork/process/process.hpp>
int main(){ for(int i=0;i<3;++i) { multifork::Process p{[]{}}; p.start(); p.join(); } }
