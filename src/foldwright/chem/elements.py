"""Element symbols."""

_SYMBOLS = """
    H D HE LI BE B C N O F NE NA MG AL SI P S CL AR K CA SC TI V CR MN FE CO NI CU ZN GA GE AS SE
    BR KR RB SR Y ZR NB MO TC RU RH PD AG CD IN SN SB TE I XE CS BA LA CE PR ND PM SM EU GD TB DY
    HO ER TM YB LU HF TA W RE OS IR PT AU HG TL PB BI PO AT RN FR RA AC TH PA U NP PU AM CM BK CF
"""
ELEMENT_SYMBOLS = frozenset(_SYMBOLS.split())
"""Upper-case symbols as structure files write them; `D` is deuterium."""

UNKNOWN_ELEMENT = "X"
"""What structure files write for an atom whose element nobody knows."""
