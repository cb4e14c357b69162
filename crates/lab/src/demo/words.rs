//! Words for invented titles and names: a vocabulary for each genre.

/// How a genre sounds.
pub(super) struct Genre {
    pub(super) name: &'static str,
    pub(super) adjectives: [&'static str; 12],
    pub(super) nouns: [&'static str; 12],
    pub(super) places: [&'static str; 6],
}

/// The genres. No noun occurs in two of them, so no title does either.
#[rustfmt::skip]
pub(super) const GENRES: [Genre; 12] = [
    Genre {
        name: "gardening",
        adjectives: ["Quiet", "Green", "Walled", "Blooming", "Mossy", "Sunlit", "Patient", "Early", "Tangled", "Fragrant", "Kitchen", "Hidden"],
        nouns: ["Orchard", "Hedge", "Greenhouse", "Rosebed", "Seedling", "Meadow", "Compost", "Trellis", "Bulb", "Pruning Knife", "Herb Border", "Wheelbarrow"],
        places: ["Willow Lane", "the Allotment", "Fern Hill", "the South Wall", "Apple Row", "the Old Rectory"],
    },
    Genre {
        name: "space",
        adjectives: ["Distant", "Silent", "Burning", "Weightless", "Last", "Frozen", "Orbiting", "Nameless", "Falling", "Radiant", "Drifting", "Seventh"],
        nouns: ["Nebula", "Moonbase", "Comet", "Airlock", "Starship", "Telescope", "Eclipse", "Asteroid", "Probe", "Constellation", "Satellite", "Vacuum"],
        places: ["Europa", "Tau Ceti", "Station Nine", "the Outer Ring", "Low Orbit", "Crater Rim"],
    },
    Genre {
        name: "mystery",
        adjectives: ["Missing", "Locked", "Crooked", "Second", "Poisoned", "Forgotten", "Midnight", "False", "Unsigned", "Careful", "Velvet", "Whispered"],
        nouns: ["Alibi", "Letter", "Witness", "Inspector", "Clue", "Fingerprint", "Confession", "Will", "Cipher", "Suspect", "Keyhole", "Verdict"],
        places: ["Harrow Street", "Blackwater Hall", "the Night Train", "Room Twelve", "Cold Quay", "the Reading Room"],
    },
    Genre {
        name: "cooking",
        adjectives: ["Simmering", "Salted", "Golden", "Rustic", "Slow", "Spiced", "Honeyed", "Smoky", "Sunday", "Crisp", "Buttered", "Generous"],
        nouns: ["Skillet", "Sourdough", "Pantry", "Saffron", "Dumpling", "Broth", "Oven", "Marmalade", "Banquet", "Ladle", "Pepper Mill", "Pastry"],
        places: ["the Corner Bakery", "Lemon Square", "the Long Table", "Market Day", "the Fishmonger's", "Aunt Ida's"],
    },
    Genre {
        name: "sailing",
        adjectives: ["Windward", "Salty", "Restless", "Northern", "Becalmed", "Rolling", "Single-Handed", "Weathered", "Outbound", "Tidal", "Storm-Worn", "Homeward"],
        nouns: ["Schooner", "Harbour", "Compass", "Mainsail", "Anchor", "Lighthouse", "Regatta", "Keel", "Sextant", "Rudder", "Buoy", "Crew"],
        places: ["Gull Point", "the Narrows", "Cape Merrow", "the Skerries", "Port Alba", "the Estuary"],
    },
    Genre {
        name: "romance",
        adjectives: ["Tender", "Unexpected", "Summer", "Reluctant", "Secret", "Late", "Foolish", "Moonlit", "Promised", "Gentle", "Stolen", "Certain"],
        nouns: ["Kiss", "Wedding", "Sweetheart", "Waltz", "Valentine", "Proposal", "Serenade", "Honeymoon", "Bouquet", "Admirer", "Embrace", "Love Song"],
        places: ["Verona Road", "the Boathouse", "Lavender Bay", "Platform Two", "the Summer House", "Rue Celeste"],
    },
    Genre {
        name: "history",
        adjectives: ["Iron", "Imperial", "Lost", "Painted", "Royal", "Ruined", "Ancient", "Divided", "Merchant", "Marble", "Besieged", "Gilded"],
        nouns: ["Empire", "Chronicle", "Dynasty", "Treaty", "Citadel", "Legion", "Aqueduct", "Throne", "Parchment", "Revolution", "Guild", "Monastery"],
        places: ["Ravenna", "the River Oxus", "the Silk Road", "Old Sparta", "the Northern March", "the Golden Gate"],
    },
    Genre {
        name: "horror",
        adjectives: ["Hollow", "Pale", "Rotting", "Starving", "Faceless", "Shuttered", "Screaming", "Buried", "Crawling", "Sunken", "Thirteenth", "Bleeding"],
        nouns: ["Crypt", "Haunting", "Scarecrow", "Cellar", "Revenant", "Shadow", "Nightmare", "Coffin", "Séance", "Doll", "Graveyard", "Fog"],
        places: ["Gallows Hill", "Ward Six", "the Drowned Chapel", "Crow Wood", "the Empty Motel", "Widow's End"],
    },
    Genre {
        name: "comedy",
        adjectives: ["Clumsy", "Borrowed", "Accidental", "Hopeless", "Cheerful", "Awkward", "Part-Time", "Loud", "Unpaid", "Ridiculous", "Wobbly", "Overdue"],
        nouns: ["Butler", "Landlord", "Pigeon", "Mix-Up", "Understudy", "Trombone", "Babysitter", "Moustache", "Plumber", "Neighbour", "Tuxedo", "Custard Pie"],
        places: ["Number Forty", "the Village Fête", "the Lost Luggage", "Grandma's", "the Dentist", "the Wrong Hotel"],
    },
    Genre {
        name: "mountains",
        adjectives: ["Steep", "Snowbound", "Granite", "Lonely", "Thin", "Alpine", "Windswept", "High", "Untrodden", "Frosted", "Narrow", "Eastern"],
        nouns: ["Summit", "Glacier", "Ridge", "Base Camp", "Rope", "Avalanche", "Crevasse", "Sherpa", "Cairn", "Ice Axe", "Pass", "Rockface"],
        places: ["the West Col", "Eagle's Nest", "the Upper Hut", "Kettle Valley", "the Great Scree", "Mount Ansel"],
    },
    Genre {
        name: "music",
        adjectives: ["Muted", "Electric", "Unfinished", "Blue", "Travelling", "Double", "Basement", "Barefoot", "Syncopated", "Velvet-Voiced", "Analogue", "Offbeat"],
        nouns: ["Cello", "Ballad", "Jukebox", "Quartet", "Drummer", "Encore", "Saxophone", "Metronome", "Choir", "Turntable", "Overture", "Backbeat"],
        places: ["the Blue Note", "Studio B", "Carnival Street", "the Bandstand", "Side Two", "the Old Opera"],
    },
    Genre {
        name: "robots",
        adjectives: ["Obsolete", "Polite", "Rusting", "Self-Taught", "Copper", "Humming", "Disobedient", "Tiny", "Calibrated", "Dreaming", "Borrowing", "Mechanical"],
        nouns: ["Android", "Circuit", "Automaton", "Servo", "Prototype", "Algorithm", "Mainframe", "Gearbox", "Sensor", "Drone", "Subroutine", "Toolbox"],
        places: ["Factory Four", "the Scrapyard", "Assembly Hall", "the Clean Room", "Charging Bay", "Silicon Wharf"],
    },
];

/// First names of the users; a number makes each unique.
#[rustfmt::skip]
pub(super) const FIRST_NAMES: [&str; 40] = [
    "ada", "amir", "anna", "arun", "bea", "boris", "carla", "chen", "dalia", "david",
    "elena", "emil", "fatima", "finn", "grace", "hana", "hugo", "ines", "ivan", "jana",
    "jonas", "kaito", "kira", "leo", "lina", "maria", "mateo", "mina", "nils", "nora",
    "omar", "pia", "quinn", "rosa", "sami", "tara", "theo", "uma", "vera", "yusuf",
];

/// The genre of an item: they take turns, so that even a tiny catalogue has several.
pub(super) fn genre_of(item: usize) -> usize {
    item % GENRES.len()
}
